// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	idp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

func TestCreate(t *testing.T) {
	w := start(t, idp.Options{Scopes: []string{"orders.read"}})
	w.record.desired.Scopes = []string{"orders.read"}
	w.created()
	d := w.record.desired
	got := w.Metadata(d.ClientID)
	delete(got, "client_id_issued_at")
	want := map[string]any{
		"client_name": "Orders", "grant_types": []any{}, "response_types": []any{}, "redirect_uris": []any{},
		"token_endpoint_auth_method": "client_secret_basic", "scope": "orders.read", "software_id": d.Attempt,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
	if accepted, err := w.record.Prove(t.Context(), d.Credentials.Current); !accepted || err != nil {
		t.Errorf("the secret that was kept: %v, %v", accepted, err)
	}
	w.wantWell()
	w.created()
	if n := w.posts(); n != 1 {
		t.Errorf("%d requests for one client", n)
	}
}

// TestLostCreation: nobody can look whether it was done, so nobody asks again until somebody has looked.
func TestLostCreation(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		fault  fault.Fault
		made   int
	}{
		"dropped":        {"the work is done, and nobody hears of it", fault.Fault{Drop: true}, 1},
		"never arrived":  {"no answer is no answer, whatever came of it", fault.Fault{Drop: true, Undone: true}, 0},
		"truncated":      {"half an answer has no secret in it", fault.Fault{Truncate: true}, 1},
		"proxy":          {"a proxy's page says nothing of the server", fault.Fault{Status: http.StatusBadGateway, Body: fault.HTML}, 1},
		"proxy's 201":    {"nor does it with a good status", fault.Fault{Status: http.StatusCreated, Body: fault.HTML}, 1},
		"proxy's 403":    {"nor with one that says no", fault.Fault{Status: http.StatusForbidden, Body: fault.HTML}, 1},
		"proxy's 401":    {"nor with one that asks for a password", fault.Fault{Status: http.StatusUnauthorized, Header: map[string]string{"WWW-Authenticate": "Basic"}}, 1},
		"trouble":        {"the server's own trouble may come after the work", fault.Fault{Status: http.StatusInternalServerError, Body: `{"error":"server_error"}`}, 1},
		"busy":           {"so may a 503", fault.Fault{Status: http.StatusServiceUnavailable, Body: `{"error":"temporarily_unavailable"}`, Undone: true}, 0},
		"no word of its": {"JSON without an error is no refusal", fault.Fault{Status: http.StatusBadRequest, Body: `{"message":"no route"}`, Undone: true}, 0},
		"redirect":       {"a redirect is not followed", fault.Fault{Status: http.StatusFound, Header: map[string]string{"Location": "/x"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, idp.Options{})
			w.once(http.MethodPost, "/register", tc.fault)
			attempt := w.record.desired.Attempt
			for range 3 {
				e := w.wanted(w.create(), provider.KindAmbiguous, "software_id is "+attempt)
				if e.Subject != attempt || strings.Contains(e.Advice, "spec.") {
					t.Errorf("%s: subject %q, advice %q", tc.reason, e.Subject, e.Advice)
				}
			}
			if n := w.posts(); n != 1 {
				t.Errorf("%s: %d requests", tc.reason, n)
			}
			if n := len(w.Registered()); n != tc.made {
				t.Errorf("%s: %d clients, want %d", tc.reason, n, tc.made)
			}
			if o, err := w.observe(); err != nil || o.Exists {
				t.Errorf("%s: observed %+v, error %v", tc.reason, o, err)
			}
			if e := w.wanted(w.delete(), provider.KindAmbiguous, "software_id is "+attempt); e.Subject != attempt || strings.Contains(e.Advice, "deletionPolicy") {
				t.Errorf("%s: the deletion: subject %q, advice %q", tc.reason, e.Subject, e.Advice)
			}
			// The way out: somebody looked, and says so, which is another attempt.
			w.record.desired.Attempt = "second"
			w.created()
			w.wantWell()
		})
	}
}

// TestRefusedCreation: what surely was not done leaves no mark, and can be tried again.
func TestRefusedCreation(t *testing.T) {
	refusal := func(status int, code string) fault.Fault {
		return fault.Fault{Undone: true, Status: status, Body: `{"error":"` + code + `","error_description":"no, for ` + initial + `"}`}
	}
	for name, tc := range map[string]struct {
		reason string
		fault  fault.Fault
		kind   provider.Kind
	}{
		"invalid":   {"the server refuses what was sent", refusal(400, "invalid_software_statement"), provider.KindInvalid},
		"sign-in":   {"the initial access token is used up", refusal(401, "invalid_token"), provider.KindCredentials},
		"forbidden": {"or not good for this", refusal(403, "insufficient_scope"), provider.KindForbidden},
		"busy":      {"come again later", refusal(429, "too_many_requests"), provider.KindRateLimited},
		"proxy":     {"whoever says so has not let it through", fault.Fault{Undone: true, Status: 429, Body: fault.HTML}, provider.KindRateLimited},
		"challenge": {"RFC 6750 asks for no body", challenge(401), provider.KindCredentials},
		"scope":     {"nor does it with a 403", challenge(403), provider.KindForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, idp.Options{})
			w.once(http.MethodPost, "/register", tc.fault)
			w.is(w.create(), tc.kind, "")
			w.created()
			w.wantWell()
			if n := len(w.Registered()); n != 1 {
				t.Errorf("%s: %d clients", tc.reason, n)
			}
		})
	}
}

// TestUnsentCreation: nobody listens, so nothing was done.
func TestUnsentCreation(t *testing.T) {
	w := start(t, idp.Options{})
	good := w.config.RegistrationURL
	w.config.RegistrationURL = "http://127.0.0.1:1/register"
	w.is(w.create(), provider.KindUnreachable, "")
	w.config.RegistrationURL = good
	w.created()

	w = start(t, idp.Options{})
	called, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.session().Create(called, w.record.desired, w.record); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	w.created()
}

// TestFailedSignIn: an operator's client that can't sign in has sent nothing.
func TestFailedSignIn(t *testing.T) {
	w := start(t, idp.Options{Clients: []idp.Client{{ID: "operator", Secret: "s", Registers: true}, {ID: "other", Secret: "s"}}})
	w.config.SignIn = provider.SignIn{ClientID: "operator", Secret: "s"}
	w.once(http.MethodPost, "/token", fault.Fault{Drop: true})
	w.is(w.create(), provider.KindUnreachable, "")
	w.created()
	w.wantWell()

	w.record.desired.State = ""
	w.config.SignIn.ClientID = "other"
	w.is(w.create(), provider.KindForbidden, "right to register")
	w.config.SignIn.Secret = "wrong"
	w.is(w.create(), provider.KindCredentials, "")
	w.config.SignIn = provider.SignIn{}
	w.is(w.create(), provider.KindCredentials, "spec.credentials.initialAccessToken")
}

// TestMarkBeforeCall: what a process that dies leaves behind, at each step.
func TestMarkBeforeCall(t *testing.T) {
	w := start(t, idp.Options{})
	w.record.fence = errors.New("somebody else has it")
	if err := w.create(); !errors.Is(err, w.record.fence) || w.posts() != 0 || w.record.desired.State != "" {
		t.Errorf("error %v, %d requests, a mark: %v", err, w.posts(), w.record.desired.State != "")
	}
	w.record.fence = nil
	w.record.keep = errors.New("the record can't be written")
	if err := w.create(); !errors.Is(err, w.record.keep) || w.posts() != 0 {
		t.Errorf("error %v, %d requests before the mark was kept", err, w.posts())
	}
	w.record.keep = nil
	// The answer came, and could not be kept: as good as lost.
	w.OnCall(func(c fault.Call) {
		if c.Method == http.MethodPost {
			w.record.keep = errors.New("the record can't be written")
		}
	})
	if err := w.create(); !errors.Is(err, w.record.keep) || len(w.Registered()) != 1 {
		t.Errorf("error %v, %d clients", err, len(w.Registered()))
	}
	w.OnCall(nil)
	w.record.keep = nil
	w.is(w.create(), provider.KindAmbiguous, "software_id")
}

// TestIntent: the marks of a creation are no answers, and must not be written over what another process kept.
func TestIntent(t *testing.T) {
	w := start(t, idp.Options{NewSecret: true})
	var intents []bool
	w.record.onKeep = func(i provider.Issued) { intents = append(intents, i.Intent) }
	w.once(http.MethodPost, "/register", challenge(http.StatusUnauthorized))
	w.is(w.create(), provider.KindCredentials, "")
	w.created()
	w.record.desired.DisplayName = "Orders 2"
	if err := w.update(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{true, true, true, false, false}, intents); diff != "" {
		t.Errorf("mark, cleared, mark, answer, answer to the update (-want +got):\n%s", diff)
	}
}

// TestNeedsGrant: a server that makes no client without a grant is asked once more, with one that gets no user's token.
func TestNeedsGrant(t *testing.T) {
	w := start(t, idp.Options{NeedGrant: true})
	w.created()
	if diff := cmp.Diff([]any{"client_credentials"}, w.Metadata(w.record.desired.ClientID)["grant_types"]); diff != "" {
		t.Errorf("grant_types (-want +got):\n%s", diff)
	}
	w.wantWell()
	w.record.desired.DisplayName = "Orders 2"
	if err := w.update(); err != nil {
		t.Fatal(err)
	}
	w.wantWell()
}

func TestUnsupported(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*world)
		advice string
	}{
		"service account": {"RFC 7591 has no such thing", func(w *world) {
			w.record.desired.Credentials.Current.Method = provider.ServiceAccountJWT
		}, "spec.authentication.method"},
		"keys unnamed": {"a server that says nothing takes client_secret_basic", func(w *world) {
			w.record.desired.Credentials.Current.Method = provider.PrivateKeyJWT
			w.config.Metadata.IntrospectionAuthMethods, w.config.Metadata.TokenAuthMethods = nil, nil
		}, "ClientSecret"},
		"keys elsewhere": {"what the token endpoint takes is not what introspection takes", func(w *world) {
			w.record.desired.Credentials.Current.Method = provider.PrivateKeyJWT
			w.config.Metadata.IntrospectionAuthMethods = []string{"client_secret_basic"}
		}, "ClientSecret"},
		"no registration": {"there is nowhere to register", func(w *world) { w.config.Metadata.RegistrationEndpoint = "" }, "spec.oauth.registrationEndpoint"},
		"Duende's DCR":    {"its clients see their own tokens only", func(w *world) { w.config.RegistrationURL = w.URL() + "/connect/dcr" }, "spec.duende"},
		"Duende's shape": {"its own registration is not even on", func(w *world) {
			w.config.Metadata.IntrospectionEndpoint = w.URL() + "/connect/introspect"
			w.config.Metadata.JWKSURI = w.URL() + "/.well-known/openid-configuration/jwks"
		}, "registration: Manual"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, idp.Options{})
			tc.change(w)
			e := w.wanted(w.create(), provider.KindUnsupported, tc.advice)
			if e.Err == nil || w.posts() != 0 {
				t.Errorf("%s: error %v, %d requests", tc.reason, e, w.posts())
			}
		})
	}
}

func TestNoSecretIssued(t *testing.T) {
	w := start(t, idp.Options{})
	w.once(http.MethodPost, "/register", fault.Fault{Undone: true, Status: http.StatusCreated, Body: `{"client_id":"public","token_endpoint_auth_method":"none"}`})
	w.is(w.create(), provider.KindUnsupported, "PrivateKeyJWT")
	if w.record.desired.ClientID != "public" {
		t.Error("what the server made was not kept")
	}
}
