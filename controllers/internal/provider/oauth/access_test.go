// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	idp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// refused answers calls as if the registration access token were not good.
func refused(status int) fault.Fault {
	return fault.Fault{Undone: true, Status: status, Body: `{"error":"invalid_token"}`}
}

// TestGoneOrLost: servers answer alike for a client that is gone and for a token that is; the credentials tell.
func TestGoneOrLost(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			w := start(t, idp.Options{})
			w.created()
			w.at(http.MethodGet, "/register/", refused(status))

			_, err := w.observe()
			if e := w.wanted(err, provider.KindAccessLost, w.record.desired.ClientID); e.Subject != w.record.desired.ClientID {
				t.Errorf("the credentials are good, and the error is about %q", e.Subject)
			}
			w.is(w.update(), provider.KindAccessLost, "")

			w.record.proof = errors.New("the introspection endpoint is down")
			_, err = w.observe()
			unsure := provider.KindServer
			if status == http.StatusForbidden {
				unsure = provider.KindForbidden
			}
			w.is(err, unsure, "")
			if !errors.Is(err, w.record.proof) {
				t.Errorf("error %v", err)
			}
			w.record.proof = nil

			if status == http.StatusForbidden {
				w.record.proves = func(provider.Credential) bool { return false }
				_, err = w.observe()
				w.is(err, provider.KindForbidden, "allow it there")
				w.at(http.MethodDelete, "/register/", refused(status))
				w.is(w.delete(), provider.KindForbidden, "allow it there")
				return // what is forbidden is there
			}
			w.Remove(w.record.desired.ClientID)
			if o, err := w.observe(); err != nil || o.Exists {
				t.Errorf("what is gone: %+v, error %v", o, err)
			}
			w.created() // with the same attempt, and another id
			w.at(http.MethodGet, "/register/", fault.Fault{})
			if n := len(w.Registered()); n != 1 {
				t.Errorf("%d clients", n)
			}
		})
	}
}

// challenge refuses as RFC 6750 has it, without a body.
func challenge(status int) fault.Fault {
	return fault.Fault{Undone: true, Status: status, Header: map[string]string{"WWW-Authenticate": `Basic realm="x", bearer error="invalid_token"`}}
}

// TestOwnVoice: what is gone is said by the server itself, and by nobody before it.
func TestOwnVoice(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		answer fault.Fault
		gone   bool
	}{
		"401 HTML":      {"a proxy wants a login", fault.Fault{Status: 401, Body: fault.HTML}, false},
		"401 for Basic": {"a proxy wants a password", fault.Fault{Status: 401, Header: map[string]string{"WWW-Authenticate": `Basic realm="Bearer"`}}, false},
		"403 HTML":      {"a firewall says no", fault.Fault{Status: 403, Body: fault.HTML}, false},
		"404 HTML":      {"a proxy knows no way", fault.Fault{Status: 404, Body: fault.HTML}, false},
		"404 JSON":      {"nor does a gateway", fault.Fault{Status: 404, Body: `{"message":"no Route matched"}`}, false},
		"404 asks":      {"there is no challenge with a 404", fault.Fault{Status: 404, Header: map[string]string{"WWW-Authenticate": "Bearer"}}, false},
		"401":           {"the server's own error", refused(401), true},
		"401 empty":     {"the server's own challenge", challenge(401), true},
		"404":           {"some say so", refused(404), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, idp.Options{})
			w.created()
			w.record.proves = func(provider.Credential) bool { return false } // the proxy refuses that too
			tc.answer.Undone = true
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				w.at(method, "/register/", tc.answer)
			}
			o, err := w.observe()
			deleted := w.delete()
			if tc.gone {
				if err != nil || o.Exists || deleted != nil {
					t.Errorf("%s: observed %+v, error %v; deletion: %v", tc.reason, o, err, deleted)
				}
				return
			}
			w.is(err, provider.KindServer, "")
			w.is(deleted, provider.KindServer, "")
		})
	}
	w := start(t, idp.Options{})
	w.created()
	w.record.desired.DisplayName = "Orders 2"
	w.once(http.MethodPut, "/register/", fault.Fault{Undone: true, Status: http.StatusUnauthorized, Body: fault.HTML})
	w.is(w.update(), provider.KindServer, "")
}

// TestNothingToProve: between two secrets there is none to ask with but the server's last one.
func TestNothingToProve(t *testing.T) {
	w := start(t, idp.Options{})
	w.created()
	w.LoseAccess(w.record.desired.ClientID)
	w.record.desired.Credentials = provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret}}
	_, err := w.observe()
	w.is(err, provider.KindAccessLost, "")
	w.is(w.delete(), provider.KindAccessLost, "")
}

func TestTrouble(t *testing.T) {
	w := start(t, idp.Options{})
	w.created()
	for name, f := range map[string]fault.Fault{
		"trouble":   {Status: http.StatusInternalServerError, Body: `{"error":"server_error"}`},
		"lost":      {Drop: true},
		"HTML":      {Status: http.StatusOK, Body: fault.HTML},
		"truncated": {Truncate: true},
		"another's": {Status: http.StatusOK, Body: `{"client_id":"another"}`},
		"nobody's":  {Status: http.StatusOK, Body: `{}`},
	} {
		f.Match = fault.Matching(http.MethodGet, "/register/")
		remove := w.Inject(f)
		if o, err := w.observe(); err == nil || o.Exists {
			t.Errorf("%s: observed %+v, error %v", name, o, err)
		}
		remove()
	}
	w.wantWell()
}

// TestNewsAreKept: what an answer brings anew is kept before anything else happens.
func TestNewsAreKept(t *testing.T) {
	w := start(t, idp.Options{NewRegistrationToken: true, NewSecret: true})
	w.created()
	for _, name := range []string{"Orders 2", "Orders 3"} {
		before := w.record.desired.Credentials.Current.Secret
		w.record.desired.DisplayName = name
		if err := w.update(); err != nil {
			t.Fatal(err)
		}
		if w.record.desired.Credentials.Current.Secret == before {
			t.Error("the server issued another secret, and it was not kept")
		}
		w.wantWell()
	}
	// A read can bring news too.
	w.ReplaceSecret(w.record.desired.ClientID)
	o, err := w.observe()
	if diff := cmp.Diff([]string{provider.DriftSecret}, o.Drift); err != nil || diff != "" {
		t.Errorf("error %v, drift (-want +got):\n%s", err, diff)
	}
	if accepted, err := w.record.Prove(t.Context(), w.record.desired.Credentials.Current); !accepted || err != nil {
		t.Errorf("the new secret: %v, %v", accepted, err)
	}
	w.wantWell()
	// If they can't be kept, that is the end of it.
	w.ReplaceSecret(w.record.desired.ClientID)
	w.record.keep = errors.New("the record can't be written")
	if _, err := w.observe(); !errors.Is(err, w.record.keep) {
		t.Errorf("error %v", err)
	}
}

// TestLostUpdate: with the answer the new registration access token is lost; the client goes on working.
func TestLostUpdate(t *testing.T) {
	w := start(t, idp.Options{NewRegistrationToken: true})
	w.created()
	w.record.desired.DisplayName = "Orders 2"
	w.once(http.MethodPut, "/register/", fault.Fault{Drop: true})
	w.is(w.update(), provider.KindUnreachable, "")
	_, err := w.observe()
	w.is(err, provider.KindAccessLost, "delete it at the server")

	w = start(t, idp.Options{})
	w.created()
	w.record.desired.DisplayName = "Orders 2"
	w.once(http.MethodPut, "/register/", fault.Fault{Drop: true})
	w.is(w.update(), provider.KindUnreachable, "")
	if err := w.update(); err != nil {
		t.Errorf("where the token stays, it is done at the next look: %v", err)
	}
	w.wantWell()
	if n := w.puts(); n != 1 {
		t.Errorf("%d updates: the first one was done", n)
	}
}
