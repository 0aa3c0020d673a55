// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	idp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

func TestManagementAddress(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		uri    string
		kind   provider.Kind
		words  string
	}{
		"elsewhere":   {"the token would go to somebody else", "https://evil.example.com/register/1", provider.KindInvalid, "neither"},
		"plain":       {"the token would go in the clear", "http://sso.example.com/register/1", provider.KindInvalid, "not https"},
		"other port":  {"another port is another server", "https://sso.example.com:8443/register/1", provider.KindInvalid, "neither"},
		"user":        {"a password in it is none of ours", "https://x@sso.example.com/register/1", provider.KindInvalid, "no address"},
		"no address":  {"nor is this one", "/register/1", provider.KindInvalid, "no address"},
		"the issuer":  {"the issuer's is called where the issuer is", "https://sso.example.com/acme/register/1", -1, ""},
		"beside it":   {"so is what has its origin, at that origin", "https://SSO.example.com:443/register/1", provider.KindUnreachable, ""},
		"as we do it": {"and the registration endpoint's", "URL/register/1", -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, idp.Options{})
			w.config.Issuer = "https://sso.example.com/acme"
			w.config.HTTPClient.Transport = nowhere{w.config.HTTPClient.Transport}
			body := `{"client_id":"c1","client_secret":"s1s1s1","registration_access_token":"r1r1r1","registration_client_uri":"` +
				strings.Replace(tc.uri, "URL", w.URL(), 1) + `"}`
			w.once(http.MethodPost, "/register", fault.Fault{Undone: true, Status: http.StatusCreated, Body: body})
			w.at(http.MethodGet, "/register/1", fault.Fault{Status: http.StatusOK, Body: `{"client_id":"c1"}`})
			err := w.create()
			if w.record.desired.ClientID != "c1" {
				t.Errorf("%s: what was made was not kept", tc.reason)
			}
			if err == nil {
				_, err = w.observe()
			}
			switch {
			case tc.kind < 0 && err != nil:
				t.Errorf("%s: %v", tc.reason, err)
			case tc.kind >= 0:
				if e := w.wanted(err, tc.kind, ""); !strings.Contains(e.Error(), tc.words) {
					t.Errorf("%s: %v", tc.reason, e)
				}
			}
			for _, c := range w.Calls() {
				if c.Method == http.MethodGet && strings.HasPrefix(c.Path, "/register") && c.Header.Get("Authorization") != "Bearer r1r1r1" {
					t.Errorf("%s: called with %q", tc.reason, c.Header.Get("Authorization"))
				}
			}
		})
	}
}

// nowhere calls nobody but 127.0.0.1.
type nowhere struct{ next http.RoundTripper }

func (n nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() != "127.0.0.1" {
		return nil, errors.New("nobody listens there")
	}
	return n.next.RoundTrip(r)
}

func TestProbe(t *testing.T) {
	w := start(t, idp.Options{})
	probe := func() (provider.Report, error) {
		r, err := w.session().Probe(t.Context())
		return r, w.hushed(err)
	}
	r, err := probe()
	if err != nil || r.RegistrationURL != w.URL()+"/register" || r.Rights != provider.RightsUnknown || len(w.Registered()) != 0 {
		t.Errorf("%+v, error %v", r, err)
	}
	if !slices.Contains(r.Capabilities.Methods, provider.PrivateKeyJWT) {
		t.Errorf("methods %q", r.Capabilities.Methods)
	}
	w.config.Metadata.IntrospectionAuthMethods = nil // then the token endpoint's count
	if r, _ := probe(); !slices.Contains(r.Capabilities.Methods, provider.PrivateKeyJWT) {
		t.Errorf("methods %q", r.Capabilities.Methods)
	}
	w.config.Metadata.IntrospectionAuthMethods = []string{"client_secret_basic"}
	if r, _ := probe(); slices.Contains(r.Capabilities.Methods, provider.PrivateKeyJWT) {
		t.Errorf("methods %q", r.Capabilities.Methods)
	}
	for _, f := range []fault.Fault{
		{Status: http.StatusInternalServerError, Body: "{}"}, {Status: http.StatusForbidden, Body: fault.HTML},
	} {
		w.once(http.MethodPost, "/register", f)
		if _, err := probe(); err != nil {
			t.Errorf("a %d to nonsense tells nothing: %v", f.Status, err)
		}
	}
	w.once(http.MethodPost, "/register", fault.Fault{Drop: true})
	_, err = probe()
	w.is(err, provider.KindUnreachable, "")
	w.once(http.MethodPost, "/register", fault.Fault{Status: http.StatusNotFound, Body: fault.HTML})
	_, err = probe()
	w.is(err, provider.KindNotFound, "spec.oauth.registrationEndpoint")
	for status, kind := range map[int]provider.Kind{
		http.StatusOK: provider.KindNotFound, http.StatusNoContent: provider.KindNotFound, http.StatusFound: provider.KindServer,
	} {
		w.once(http.MethodPost, "/register", fault.Fault{Status: status, Body: fault.HTML})
		_, err = probe()
		w.is(err, kind, "/register the registration endpoint?")
	}
	w.once(http.MethodPost, "/register", fault.Fault{Status: http.StatusTooManyRequests, Body: fault.HTML})
	_, err = probe()
	w.is(err, provider.KindRateLimited, "")
	w.config.SignIn.InitialAccessToken = "wrong"
	_, err = probe()
	w.is(err, provider.KindCredentials, "key token")
	w.config.Metadata.RegistrationEndpoint = ""
	_, err = probe()
	w.is(err, provider.KindUnsupported, "registration: Manual")
}

// TestProbeShowsTheSeen: a session tells what it has seen.
func TestProbeShowsTheSeen(t *testing.T) {
	w := start(t, idp.Options{})
	s := w.session()
	if r, err := s.Probe(t.Context()); err != nil || r.Capabilities.Delete != provider.SupportUnknown {
		t.Errorf("deletion is %q at first, error %v", r.Capabilities.Delete, err)
	}
	if _, err := s.Create(t.Context(), w.record.desired, w.record); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Observe(t.Context(), w.record.desired, w.record); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Probe(t.Context()); err != nil || r.Capabilities.Read != provider.Supported || r.Capabilities.Delete != provider.SupportUnknown {
		t.Errorf("reading is %q, deletion %q after a look at a client, error %v", r.Capabilities.Read, r.Capabilities.Delete, err)
	}
	if err := s.Delete(t.Context(), w.record.desired, w.record); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Probe(t.Context()); err != nil || r.Capabilities.Delete != provider.Supported {
		t.Errorf("deletion is %q after one, error %v", r.Capabilities.Delete, err)
	}
}

// TestProbeMakesNothing: what a server makes of the nonsense all the same goes again, or is named.
func TestProbeMakesNothing(t *testing.T) {
	w := start(t, idp.Options{TakesAnything: true})
	_, err := w.session().Probe(t.Context())
	w.is(w.hushed(err), provider.KindUnsupported, "the registration endpoint?")
	if left := w.Registered(); len(left) != 0 {
		t.Errorf("left at the server: %q", left)
	}
	w = start(t, idp.Options{TakesAnything: true, NoManagement: true})
	_, err = w.session().Probe(t.Context())
	left := w.Registered()
	if len(left) != 1 {
		t.Fatalf("left at the server: %q", left)
	}
	w.is(w.hushed(err), provider.KindUnsupported, "Delete client "+left[0])
}
