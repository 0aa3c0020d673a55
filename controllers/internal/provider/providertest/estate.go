// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// estate is what was registered by RFC 7591, as the wire showed it: also by answers that the provider
// never got. So the suite can count, and clean up, where the server chooses ids.
type estate struct {
	mu      sync.Mutex
	lives   map[string]deed // by client id
	renewed int             // how often an answer replaced a token
}

// deed gives access to a registration (RFC 7592).
type deed struct{ address, token string }

// exchange learns from an answer of the server's own.
func (e *estate) exchange(req *http.Request, status int, answer []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if req.Method == http.MethodDelete && status == http.StatusNoContent {
		maps.DeleteFunc(e.lives, func(_ string, d deed) bool { return pathOf(d.address) == req.URL.Path })
		return
	}
	var got struct {
		ClientID string `json:"client_id"`
		Address  string `json:"registration_client_uri"`
		Token    string `json:"registration_access_token"`
	}
	if json.Unmarshal(answer, &got) != nil || got.ClientID == "" {
		return
	}
	if e.lives == nil {
		e.lives = map[string]deed{}
	}
	known, ok := e.lives[got.ClientID]
	if !ok && (req.Method != http.MethodPost || status != http.StatusCreated && status != http.StatusOK) {
		return
	}
	if got.Address != "" {
		known.address = got.Address
	}
	if got.Token != "" {
		if ok && got.Token != known.token {
			e.renewed++
		}
		known.token = got.Token
	}
	e.lives[got.ClientID] = known
}

func pathOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return ""
}

func (e *estate) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.lives)
}

// renewals is how often an answer replaced the token of a registration that was there.
func (e *estate) renewals() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.renewed
}

// forget drops a registration that was removed by hand.
func (e *estate) forget(clientID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.lives, clientID)
}

const cleanupWithin = 20 * time.Second

// clear removes all that is left. What it can't is an error, but where nobody can.
func (e *estate) clear(ctx context.Context, t *testing.T, h *Harness, deletion provider.Support) {
	t.Helper()
	complain := t.Errorf
	if deletion == provider.Unsupported {
		complain = t.Logf
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupWithin)
	defer cancel()
	e.mu.Lock()
	lives := maps.Clone(e.lives)
	e.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(lives)) {
		if why := h.removeByDeed(ctx, lives[id]); why != "" {
			complain("the client %s is left at the server: %s", id, why)
		}
		e.forget(id)
	}
}

// removeByDeed deletes a registration (RFC 7592 section 2.3); why says what kept it from that.
func (h *Harness) removeByDeed(ctx context.Context, d deed) (why string) {
	if d.address == "" {
		return "it has no management"
	}
	address := d.address
	if rest, ok := strings.CutPrefix(address, strings.TrimSuffix(h.Config.Issuer, "/")+"/"); ok {
		address = strings.TrimSuffix(h.Config.URL, "/") + "/" + rest
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, http.NoBody)
	if err != nil {
		return "its address is no URL"
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := h.Config.HTTPClient.Do(req)
	if err != nil {
		return "no answer"
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusUnauthorized {
		return resp.Status
	}
	return ""
}
