// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func TestSignIn(t *testing.T) {
	type request struct {
		Form  url.Values
		Basic string
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("oper+ator:s3cr%25t"))
	assertion := func(context.Context) (provider.Secret, error) { return "signed", nil }
	form := func(more ...string) url.Values {
		v := url.Values{"grant_type": {"client_credentials"}, "scope": {"register"}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	const byJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	for name, tc := range map[string]struct {
		reason string
		signIn provider.SignIn
		want   request
	}{
		"secret":    {"both parts form-encoded (RFC 6749 section 2.3.1)", provider.SignIn{ClientID: "oper ator", Secret: "s3cr%t"}, request{form(), basic}},
		"assertion": {"a key's, with the client's id", provider.SignIn{ClientID: "x", Assertion: assertion}, request{form("client_assertion_type", byJWT, "client_assertion", "signed", "client_id", "x"), ""}},
		"account":   {"a ServiceAccount's token says itself who that is", provider.SignIn{Assertion: assertion}, request{form("client_assertion_type", byJWT, "client_assertion", "signed"), ""}},
		"both":      {"the assertion goes before", provider.SignIn{ClientID: "x", Secret: "y", Assertion: assertion}, request{form("client_assertion_type", byJWT, "client_assertion", "signed", "client_id", "x"), ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, func(c *provider.Config) { c.SignIn = tc.signIn })
			token, err := r.tokens.Token(t.Context(), "")
			if err != nil || token.Reveal() != "token-1" {
				t.Fatalf("token %q, error %v", token.Reveal(), err)
			}
			if diff := cmp.Diff(tc.want, request{r.signIns[0], r.basics[0]}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestNewTokens(t *testing.T) {
	const endpoint = "https://sso.example.com/token"
	for name, tc := range map[string]struct {
		reason   string
		signIn   provider.SignIn
		endpoint string
	}{
		"nobody":      {"no client at all", provider.SignIn{}, endpoint},
		"no secret":   {"a client that can't prove itself", provider.SignIn{ClientID: "x"}, endpoint},
		"no client":   {"a secret of nobody", provider.SignIn{Secret: "x"}, endpoint},
		"initial":     {"an initial access token is no client", provider.SignIn{InitialAccessToken: "x"}, endpoint},
		"no endpoint": {"nowhere to sign in", provider.SignIn{ClientID: "x", Secret: "y"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provider.NewTokens(provider.Config{SignIn: tc.signIn, Metadata: provider.Metadata{TokenEndpoint: tc.endpoint}}, nil, "")
			if err == nil {
				t.Errorf("%s: no error", tc.reason)
			}
		})
	}
}

func TestSignInOnce(t *testing.T) {
	r := newRegistry(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := r.api.Do(t.Context(), r.get()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := r.count("/token"); got != 1 {
		t.Errorf("signed in %d times", got)
	}
}

func TestSignInBeforeTheEnd(t *testing.T) {
	var offset atomic.Int64
	r := newRegistry(t, func(c *provider.Config) {
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	})
	for _, step := range []struct { // tokens live ten minutes
		by   time.Duration
		want int
	}{{0, 1}, {7 * time.Minute, 1}, {65 * time.Second, 2}} {
		offset.Add(int64(step.by))
		if _, err := r.tokens.Token(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if got := r.count("/token"); got != step.want {
			t.Fatalf("after %v more: signed in %d times, want %d", step.by, got, step.want)
		}
	}
}

func TestForget(t *testing.T) {
	r := newRegistry(t)
	for _, step := range []struct {
		forget provider.Secret
		want   string
	}{{"none", "token-1"}, {"token-7", "token-1"}, {"token-1", "token-2"}, {"", "token-3"}} {
		if step.forget != "none" {
			r.tokens.Forget(step.forget)
		}
		if got, err := r.tokens.Token(t.Context(), ""); err != nil || got.Reveal() != step.want {
			t.Fatalf("after forgetting %q: %q, want %q (%v)", step.forget.Reveal(), got.Reveal(), step.want, err)
		}
	}
}

// TestSignInCalledOff: who signs in for all may be called off; the others go on.
func TestSignInCalledOff(t *testing.T) {
	r := newRegistry(t)
	arrived, first := make(chan struct{}), atomic.Bool{}
	r.token = func(w http.ResponseWriter, req *http.Request) {
		if first.CompareAndSwap(false, true) {
			close(arrived)
			<-req.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"t","expires_in":60}`))
	}
	leading, callOff := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := r.tokens.Token(leading, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("the leader's error is %v", err)
		}
	})
	<-arrived
	wg.Go(func() {
		if _, err := r.tokens.Token(t.Context(), ""); err != nil {
			t.Errorf("the follower's error is %v", err)
		}
	})
	callOff()
	wg.Wait()
}

func TestSignInRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		status int
		body   string
		want   provider.Kind
	}{
		"401":                 {"our credentials", 401, `{"error":"invalid_client"}`, provider.KindCredentials},
		"400 invalid_client":  {"RFC 6749 section 5.2 has 400 for it, too", 400, `{"error":"invalid_client"}`, provider.KindCredentials},
		"invalid_scope":       {"signed in, but without the right", 400, `{"error":"invalid_scope"}`, provider.KindForbidden},
		"unauthorized_client": {"nor may it ask for that scope", 400, `{"error":"unauthorized_client"}`, provider.KindForbidden},
		"400":                 {"Keycloak says 400 when its database is gone: that is not our credentials", 400, `{"error":"invalid_request"}`, provider.KindServer},
		"404":                 {"no such realm", 404, `{"error":"Realm does not exist"}`, provider.KindNotFound},
		"500":                 {"trouble", 500, `{}`, provider.KindServer},
		"HTML":                {"a proxy's page", 200, `<html>`, provider.KindServer},
		"no token":            {"an answer without one", 200, `{"token_type":"Bearer"}`, provider.KindServer},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.token = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}
			_, err := r.tokens.Token(t.Context(), "")
			if e := kindOf(t, err, tc.want); e.Op != "sign in" {
				t.Errorf("%s: it was attempted to %q", tc.reason, e.Op)
			}
		})
	}
}

// TestSignInKeepsSecrets: the server repeats what it was sent; we don't.
func TestSignInKeepsSecrets(t *testing.T) {
	for name, signIn := range map[string]provider.SignIn{
		"secret":    {ClientID: "oper ator", Secret: "s3cr%t"},
		"assertion": {Assertion: func(context.Context) (provider.Secret, error) { return "signed-assertion", nil }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, func(c *provider.Config) { c.SignIn = signIn })
			r.token = func(w http.ResponseWriter, req *http.Request) {
				_ = req.ParseForm()
				_, secret, _ := req.BasicAuth()
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte(`{"error":"no ` + req.Header.Get("Authorization") + secret + req.PostForm.Get("client_assertion") + `"}`))
			}
			_, err := r.tokens.Token(t.Context(), "")
			if err == nil {
				t.Fatal("no error")
			}
			for _, secret := range []string{"s3cr%t", "s3cr%25t", "signed-assertion", base64.StdEncoding.EncodeToString([]byte("oper+ator:s3cr%25t"))} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q is in the error %v", secret, err)
				}
			}
		})
	}
}

func TestAssertionFails(t *testing.T) {
	cause := errors.New("no API server")
	r := newRegistry(t, func(c *provider.Config) {
		c.SignIn = provider.SignIn{Assertion: func(context.Context) (provider.Secret, error) { return "", cause }}
	})
	_, err := r.tokens.Token(t.Context(), "")
	if wantKind(t, err, provider.KindServer); !errors.Is(err, cause) || len(r.asked) > 0 {
		t.Errorf("error %v; asked %q", err, r.asked)
	}
}
