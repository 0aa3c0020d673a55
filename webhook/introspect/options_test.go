// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
)

func TestNew(t *testing.T) {
	cases := map[string]struct {
		reason string
		opts   introspect.Options
		want   string
	}{
		"https":                      {"as it should be", introspect.Options{Endpoint: "https://sso.example.com/introspect"}, ""},
		"with a query":               {"RFC 7662 section 2 allows it", introspect.Options{Endpoint: "https://sso.example.com/introspect?a=b"}, ""},
		"loopback":                   {"nobody listens in between", introspect.Options{Endpoint: "http://[::1]:8080/introspect"}, ""},
		"http":                       {"the secret would travel in the clear", introspect.Options{Endpoint: "http://sso.example.com/introspect"}, "https"},
		"not quite loopback":         {"a name that begins like one", introspect.Options{Endpoint: "http://127.0.0.1.example.com/"}, "https"},
		"user":                       {"a second credential, which errors would show", introspect.Options{Endpoint: "https://canary:canary@sso.example.com/"}, "without user"},
		"no host":                    {"nobody to ask", introspect.Options{Endpoint: "https:///introspect"}, "host"},
		"empty":                      {"nobody to ask", introspect.Options{}, "host"},
		"no URL":                     {"nobody to ask", introspect.Options{Endpoint: "https://canary\x7f"}, "not a URL"},
		"CA without a certificate":   {"would trust nobody", introspect.Options{Endpoint: "https://a", CAPEM: []byte("x")}, "no PEM certificate"},
		"CVE-2024-12401: a huge PEM": {"parsing it burns CPU", introspect.Options{Endpoint: "https://a", CAPEM: make([]byte, 1<<20)}, "larger than"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := introspect.New(c.opts)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.reason, err)
			}
			noCanary(t, err)
		})
	}
}

// TestSecretNeverPrints: CVE-2023-2878, CVE-2025-7445.
func TestSecretNeverPrints(t *testing.T) {
	type holder struct {
		C *introspect.Credential           `json:"c"`
		S introspect.Secret                `json:"s"`
		M map[string]introspect.Credential `json:"m"`
	}
	h := holder{&credential, credential.Secret, map[string]introspect.Credential{"k": credential}}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s"} {
		fmt.Fprintf(&printed, verb+verb+verb+verb, credential.Secret, credential, h, []introspect.Credential{credential})
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		slog.New(handler).Info("x", "secret", credential.Secret, "credential", credential, "holder", h)
	}
	if err := json.NewEncoder(&printed).Encode(h); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"canary", fmt.Sprintf("%x", "canary"), fmt.Sprintf("%X", "canary")} {
		if strings.Contains(printed.String(), leak) {
			t.Errorf("the secret is printed: %s", printed.String())
		}
	}
	if credential.Secret.Reveal() != "canary-secret" {
		t.Error("Reveal does not")
	}
}
