// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"time"

	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// tokenLife is by exp: long enough to see that it is not what ends a token here.
const tokenLife = 15 * time.Minute

// embeddedServer is a small authorization server of ours, in this process.
type embeddedServer struct {
	*inProcess

	oauth *oauth.Server
}

func newEmbedded(d *demo) (authServer, facts, error) {
	p, issuer, err := newInProcess(d)
	if err != nil {
		return nil, facts{}, err
	}
	web, err := d.clientSecret("web")
	if err != nil {
		return nil, facts{}, err
	}
	billing, err := d.clientSecret("billing-app")
	if err != nil {
		return nil, facts{}, err
	}
	initial := rand.Text()
	d.secret(initial)
	if err := d.write("initial.token", initial); err != nil {
		return nil, facts{}, err
	}
	s := &embeddedServer{inProcess: p, oauth: oauth.New(oauth.Options{
		Issuer: issuer, InitialAccessToken: initial, TokenLife: tokenLife,
		Scopes: []string{ordersScope, "profile"}, Users: []oauth.User{{Name: "alice"}},
		Clients: []oauth.Client{
			{ID: "web", Secret: web, Scopes: []string{ordersScope, "profile"}, Audience: []string{"https://orders.example.com"}},
			{ID: "billing-app", Secret: billing, Scopes: []string{ordersScope}, Audience: []string{"https://billing.example.com"}},
		},
	})}
	p.handler = s.oauth
	return s, facts{ //nolint:gosec // a command and an address, no credential
		name: "the embedded server", says: embeddedSays(),
		parts:  "a small authorization server in this process",
		issuer: issuer, token: issuer + "/token", introspection: issuer + "/introspect",
		sample:     "oauth",
		connection: "{caBundle: {name: corp-ca}}",
		signsIn:    "an initial access token: it opens the registration endpoint of RFC 7591, and nothing else",
		secret:     "kubectl create secret generic as-registration -n introspection-system --from-file=token=initial.token",
		grant:      url.Values{"grant_type": {oauth.UserGrant}},
		tokens: map[kind]asked{
			goodToken: {"web", ordersScope}, withoutScope: {"web", "profile"}, ofAnotherAPI: {"billing-app", ordersScope}, goodJWT: {},
		},
		secrets: true,
		end:     func(name string) request { return revocation(issuer+"/revoke", "web", name) },
		ended:   http.StatusOK,
	}, nil
}

func (s *embeddedServer) registrations(context.Context) ([]string, error) {
	return s.oauth.Registered(), nil
}

func (s *embeddedServer) remove(_ context.Context, id string) error {
	s.d.say("Its people do that at their server; no call of ours can.")
	s.d.check(s.oauth.Remove(id), "somebody deleted the client "+id, "there is no such client")
	return nil
}

func (*embeddedServer) leftovers(context.Context) ([]string, error) { return nil, nil }
