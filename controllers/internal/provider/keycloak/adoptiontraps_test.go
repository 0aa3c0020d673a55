// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

func trapNotAdopted(t *testing.T, w *world, s *keycloak.Server, _ provider.Desired) {
	t.Helper()
	for clientID, says := range map[string]string{
		"operator": "the operator's own sign-in",
		"broker":   "built-in client",
	} {
		// A real realm has its own clients; one that stands in for it gets them here.
		if status := w.admin(t, http.MethodPost, "/clients", map[string]any{"clientId": clientID, "enabled": true}, nil); status != http.StatusCreated && status != http.StatusConflict {
			t.Fatalf("making client %s: %d", clientID, status)
		}
		before := w.client(t, clientID)
		_, err := s.Adopt(t.Context(), desired(clientID), providertest.Allow)
		if e := errorOf(t, err, provider.KindNotAdoptable); !strings.Contains(e.Subject, says) {
			t.Errorf("client %s: refused for %q, not as %s", clientID, e.Subject, says)
		}
		if diff := cmp.Diff(before, w.client(t, clientID)); diff != "" {
			t.Errorf("client %s was touched (- before, + after):\n%s", clientID, diff)
		}
	}
}
