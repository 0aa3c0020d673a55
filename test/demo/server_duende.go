// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/introspection-dev/introspection-operator/test/idp/duende"
)

// What the duende package's scopes are beside ordersScope.
const (
	writeScope   = "orders.write"
	billingScope = "billing.read"
	// jwtName is what the one JWT of the story is called.
	jwtName = "jwt"
)

// duendeServer is a Duende IdentityServer at the level of its protocols, in this
// process: Duende itself is not free to bring along.
type duendeServer struct {
	*inProcess

	host *duende.Server
}

func newDuende(d *demo) (authServer, facts, error) {
	p, issuer, err := newInProcess(d)
	if err != nil {
		return nil, facts{}, err
	}
	all := []string{ordersScope, writeScope, billingScope}
	clients := []duende.Client{{ID: "introspection-operator", Secret: d.operatorSecret, Scopes: []string{duende.RegistrationScope}}}
	for _, c := range []duende.Client{
		{ID: "web", Scopes: []string{ordersScope, writeScope}, Reference: true, Password: true, Life: tokenLife},
		{ID: "web-jwt", Scopes: []string{ordersScope, writeScope}, Password: true, Life: tokenLife},
		{ID: "billing-app", Scopes: []string{billingScope}, Reference: true, Password: true, Life: tokenLife},
	} {
		if c.Secret, err = d.clientSecret(c.ID); err != nil {
			return nil, facts{}, err
		}
		clients = append(clients, c)
	}
	s := &duendeServer{inProcess: p, host: duende.New(duende.Options{
		TLS: true, Issuer: issuer, Clients: clients, Users: []duende.User{{Name: "alice", Password: d.alicePassword}},
		Scopes: append(slices.Clone(all), duende.RegistrationScope), AllowedScopes: all,
	})}
	p.handler = s.host
	end := issuer + "/connect/revocation"
	return s, facts{
		name: "Duende", says: duendeSays(),
		parts:  "what stands for a Duende IdentityServer in this process (written to recordings of a real one)",
		issuer: issuer, token: issuer + "/connect/token", introspection: issuer + "/connect/introspect",
		sample:     "duende",
		connection: "{caBundle: {name: corp-ca}}",
		// A token is inactive for an API that has none of its scopes: this one has two, and asks for one.
		patches: map[string]string{
			"ClusterAuthorizationServer": "{op: replace, path: /spec/access/scopes, value: [orders.read, orders.write]}",
			"IntrospectionClient":        "{op: replace, path: /spec/scopes, value: [orders.read, orders.write]}",
		},
		signsIn: "a client with the scope introspection.register, and no other",
		secret: "kubectl create secret generic duende-operator -n introspection-system \\\n" +
			"      --from-literal=client_id=introspection-operator --from-file=client_secret=operator.secret",
		grant: url.Values{"grant_type": {"password"}, "password": {d.alicePassword}},
		tokens: map[kind]asked{
			goodToken: {"web", ordersScope}, withoutScope: {"web", writeScope},
			ofAnotherAPI: {"billing-app", billingScope}, goodJWT: {"web-jwt", ordersScope},
		},
		secrets: true,
		end: func(name string) request {
			if name == jwtName {
				return revocation(end, "web-jwt", name)
			}
			return revocation(end, "web", name)
		},
		ended: http.StatusOK,
	}, nil
}

func (s *duendeServer) registrations(context.Context) ([]string, error) {
	return s.host.Resources(), nil
}

func (s *duendeServer) remove(_ context.Context, id string) error {
	s.d.say("Its people do that in their configuration store; no call of ours can.")
	s.host.RemoveResource(id)
	_, there := s.host.Resource(id)
	s.d.check(!there, "somebody deleted the ApiResource "+id, "it is still there")
	return nil
}

func (*duendeServer) leftovers(context.Context) ([]string, error) { return nil, nil }
