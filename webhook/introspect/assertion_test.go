// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect_test

import (
	"bufio"
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// account is a ServiceAccount's token.
func account(source introspect.AssertionSource) introspect.Credential {
	return introspect.Credential{ClientID: "shop.orders", Assertion: &introspect.Assertion{ID: "introspection/client-1", Source: source}}
}

// TestAssertionRequest: RFC 7523 section 2.2 in place of Basic. The answers are as Keycloak and
// Duende gave them.
func TestAssertionRequest(t *testing.T) {
	private, pkcs8 := newKey(t, elliptic.P256())
	now := time.Unix(1_800_000_000, 0)
	cases := map[string]struct {
		reason string
		as     introspect.Credential
		// form is what goes beside token and assertion.
		form   url.Values
		answer string
		want   *token.Facts
	}{
		"key": {
			"with the client id, which some servers want",
			introspect.Credential{ClientID: "shop.orders", Key: parseKey(t, pkcs8, "k1")},
			url.Values{"client_id": {"shop.orders"}},
			`{"iss":"http://127.0.0.1:5200","nbf":1795401757,"iat":1795401757,"exp":1795405357,"client_id":"web-jwt","tenant":"acme","jti":"DEC718ED36512D3B5A9CB752329BFAAB","active":true,"scope":"orders.read"}`,
			&token.Facts{Issuer: "http://127.0.0.1:5200", ClientID: "web-jwt"},
		},
		"account": {
			"without it: Keycloak finds the client by the subject",
			account(func(context.Context) (introspect.Secret, error) { return "a.b.c", nil }),
			url.Values{"client_assertion": {"a.b.c"}},
			`{"exp":1795406878,"iat":1795406278,"iss":"http://127.0.0.1:18080/realms/acme","aud":"shop.orders","typ":"Bearer","azp":"web","scope":"openid profile","client_id":"web","username":"alice","token_type":"Bearer","active":true}`,
			&token.Facts{Issuer: "http://127.0.0.1:18080/realms/acme", ClientID: "web"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				if c.as.Key != nil {
					_, claims := verified(t, introspect.Secret(r.PostForm.Get("client_assertion")), &private.PublicKey)
					if claims["sub"] != "shop.orders" || claims["aud"] != issuer || claims["iat"] != 1.8e9 {
						t.Errorf("claims %v", claims)
					}
					r.PostForm.Del("client_assertion")
				}
				want := url.Values{"token": {canaryToken}, "client_assertion_type": {assertionType}}
				maps.Copy(want, c.form)
				if diff := cmp.Diff(want, r.PostForm); diff != "" {
					t.Errorf("%s: form (-want +got):\n%s", c.reason, diff)
				}
				if r.Header.Get("Authorization") != "" || r.Header.Get("Accept") != "application/json" {
					t.Errorf("Authorization %q, Accept %q", r.Header.Get("Authorization"), r.Header.Get("Accept"))
				}
				answer(http.StatusOK, "application/json", c.answer)(w, r)
			}, func(o *introspect.Options) { o.Clock = func() time.Time { return now } })
			facts, err := client.Introspect(t.Context(), c.as, token.New(canaryToken))
			if err != nil || !facts.Active || facts.Issuer != c.want.Issuer || facts.ClientID != c.want.ClientID {
				t.Errorf("%s: facts %+v, error %v", c.reason, facts, err)
			}
		})
	}
}

// TestNoAssertion: that there is none says nothing about our credential or the token.
func TestNoAssertion(t *testing.T) {
	_, pkcs8 := newKey(t, elliptic.P256())
	cases := map[string]struct {
		reason string
		as     introspect.Credential
		want   error
	}{
		"error": {"it is not our credential that is bad", account(func(context.Context) (introspect.Secret, error) {
			return "canary", errors.New("the API server is away")
		}), nil},
		"refused": {"not even if it says so", account(func(context.Context) (introspect.Secret, error) {
			return "", introspect.ErrCredentialsRefused
		}), nil},
		"nothing":   {"an empty one would be refused", account(func(context.Context) (introspect.Secret, error) { return "", nil }), nil},
		"no clock":  {"an assertion of 1970 would be refused", introspect.Credential{ClientID: "shop.orders", Key: parseKey(t, pkcs8, "k1")}, nil},
		"no client": {"it would prove nobody", introspect.Credential{Key: parseKey(t, pkcs8, "k1")}, nil},
		"blocks": {"the call's own limit ends it", account(func(ctx context.Context) (introspect.Secret, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}), context.DeadlineExceeded},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server is asked") },
				func(o *introspect.Options) {
					if errors.Is(c.want, context.DeadlineExceeded) {
						o.Timeout = 50 * time.Millisecond
					}
				})
			facts, err := client.Introspect(t.Context(), c.as, token.New(canaryToken))
			var unavailable *introspect.Unavailable
			if facts != nil || !errors.As(err, &unavailable) || unavailable.Status != 0 || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: facts %v, error %v", c.reason, facts, err)
			}
			if errors.Is(err, introspect.ErrCredentialsRefused) {
				t.Errorf("%s: %v", c.reason, err)
			}
			noCanary(t, err)
		})
	}
}

// TestSentAgain: a server that closes a connection may have taken the assertion before, and takes
// each once. net/http asks again, with a new one.
func TestSentAgain(t *testing.T) {
	_, pkcs8 := newKey(t, elliptic.P256())
	asked := make(chan url.Values, 3)
	endpoint := listen(t, func(conn net.Conn, r *bufio.Reader) {
		first, err := http.ReadRequest(r)
		if err != nil || first.ParseForm() != nil {
			return
		}
		asked <- first.PostForm
		_, _ = fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"active\":true}")
		if second, err := http.ReadRequest(r); err == nil && second.ParseForm() == nil {
			asked <- second.PostForm // it is taken, and the connection ends
		}
	})
	client, err := introspect.New(introspect.Options{Endpoint: endpoint, Issuer: issuer, Timeout: 10 * time.Second, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	as := introspect.Credential{ClientID: "shop.orders", Key: parseKey(t, pkcs8, "k1")}
	for range 2 {
		if facts, err := client.Introspect(t.Context(), as, token.New(canaryToken)); err != nil || !facts.Active {
			t.Fatalf("facts %v, error %v", facts, err)
		}
	}
	seen := map[string]bool{}
	for range 3 {
		form := <-asked
		if assertion := form.Get("client_assertion"); assertion == "" || seen[assertion] || form.Get("token") != canaryToken {
			t.Errorf("an assertion twice, or half a form: %d members", len(form))
		}
		seen[form.Get("client_assertion")] = true
	}
}
