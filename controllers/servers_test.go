// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/duende"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

const (
	ordersScope  = "orders.read"
	initialToken = "initial-access-token-that-must-not-be-seen"
)

// duendeServer is a Duende host with our endpoints, and its object.
func (w *world) duendeServer(o duende.Options) (*duende.Server, *v1alpha1.ClusterAuthorizationServer) {
	w.t.Helper()
	idp := duende.New(o)
	idp.Start()
	w.t.Cleanup(idp.Close)
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.config.SystemNamespace, Name: "duende-operator"},
		Data:       map[string][]byte{"client_id": []byte("operator"), "client_secret": []byte("operator-secret")},
	})
	return idp, w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Spec.Issuer, s.Spec.Keycloak, s.Spec.Duende = idp.Issuer(), nil, &v1alpha1.DuendeServer{}
		s.Spec.Credentials.ClientCredentials.SecretName = "duende-operator"
		s.Spec.Access.Scopes = []string{ordersScope}
	})
}

// oauthServer is a server of RFC 7591 and 7592, and its object.
func (w *world) oauthServer(o oauth.Options) (*oauth.Server, *v1alpha1.ClusterAuthorizationServer) {
	w.t.Helper()
	o.InitialAccessToken = initialToken
	idp := oauth.New(o)
	if err := idp.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := idp.Close(); err != nil {
			w.t.Error(err)
		}
	})
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.config.SystemNamespace, Name: "initial"},
		Data:       map[string][]byte{"token": []byte(initialToken + "\n")},
	})
	return idp, w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Spec.Issuer, s.Spec.Keycloak, s.Spec.OAuth = idp.Issuer(), nil, &v1alpha1.OAuthServer{}
		s.Spec.Credentials = &v1alpha1.ServerCredentials{InitialAccessToken: &v1alpha1.SecretReference{SecretName: "initial"}}
		s.Spec.Access.Scopes = []string{ordersScope}
	})
}

// manualServer is the object of a server where nothing is registered by us.
func (w *world) manualServer(issuer string) *v1alpha1.ClusterAuthorizationServer {
	w.t.Helper()
	return w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Spec.Issuer, s.Spec.Keycloak, s.Spec.OAuth = issuer, nil, &v1alpha1.OAuthServer{}
		s.Spec.Registration, s.Spec.Credentials = v1alpha1.RegistrationManual, nil
	})
}

func scoped(c *v1alpha1.IntrospectionClient) { c.Spec.Scopes = []string{ordersScope} }

func atServer(c *v1alpha1.IntrospectionClient) { c.Spec.Endpoint = v1alpha1.EndpointServer }

func method(m v1alpha1.AuthenticationMethod) func(*v1alpha1.IntrospectionClient) {
	return func(c *v1alpha1.IntrospectionClient) { c.Spec.Authentication.Method = m }
}

func TestDuendeIsReady(t *testing.T) {
	w := newWorld(t)
	idp, server := w.duendeServer(duende.Recorded())
	w.create(server)
	stop := w.start(nil)
	c := w.clientObject("orders", scoped)
	w.create(c)
	w.ready(c)
	w.ready(server)
	if can := server.Status.Capabilities; can.Provider != "duende" || can.Overlap != "Expiring" || can.AudienceCheck != "Ignored" || can.Revocation.JWT != "Never" {
		t.Errorf("capabilities: %+v", can)
	}
	record := w.record(c)
	resource, ok := idp.Resource(record.ClientID)
	if !ok || len(resource.Secrets) != 1 || strings.Contains(fmt.Sprintf("%+v", resource), record.Current.Secret.Reveal()) {
		t.Errorf("the server knows more than a hash, or nothing: %t, %d secrets", ok, len(resource.Secrets))
	}
	mounted := w.secret(w.tenant, "orders")
	if string(mounted.Data["provider"]) != "duende" || bytes.Equal(mounted.Data["client_secret"], []byte(record.Current.Secret.Reveal())) {
		t.Errorf("the mounted Secret: provider %q, or the server's own secret", mounted.Data["provider"])
	}
	stop()
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.start(nil) // another process, which knows the server by its status
	w.gone(c)
	if _, ok := idp.Resource(record.ClientID); ok {
		t.Error("the resource outlived its object")
	}
}

// A server that caches its configuration says 401 for a while: that is "not yet", and
// what is published works everywhere.
func TestDuendePropagation(t *testing.T) {
	w := newWorld(t)
	options := duende.Recorded()
	options.PropagationSeconds = 3
	_, server := w.duendeServer(options)
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", scoped, atServer)
	w.create(c)
	w.eventually("it says that the server does not know everywhere", func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		if words := describe(c.Status.Conditions); !strings.Contains(words, v1alpha1.ReasonPropagating) {
			return errors.New(words)
		}
		return nil
	})
	w.ready(c)
	if settled := w.record(c).SettledAt; settled.IsZero() || time.Now().Before(settled) {
		t.Errorf("published at a moment when a part of the server may not know it: settled at %s", settled)
	}
}

func TestScopesAreGranted(t *testing.T) {
	w := newWorld(t)
	_, server := w.duendeServer(duende.Recorded())
	w.create(server)
	w.start(nil)
	greedy := w.clientObject("greedy", func(c *v1alpha1.IntrospectionClient) { c.Spec.Scopes = []string{"billing.read"} })
	none := w.clientObject("none")
	w.create(greedy)
	w.create(none)
	if words := w.condition(greedy, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonScopeNotAllowed); !strings.Contains(words, "billing.read") {
		t.Errorf("it does not name the scope: %s", words)
	}
	w.condition(none, v1alpha1.ConditionAudienceMapped, metav1.ConditionFalse, v1alpha1.ReasonNoScopes)
}

// PrivateKeyJWT works on every dialect, and for the workload at the server's own endpoint.
func TestPrivateKeyJWT(t *testing.T) {
	for name, make := range map[string]func(*world) *v1alpha1.ClusterAuthorizationServer{
		"keycloak": func(w *world) *v1alpha1.ClusterAuthorizationServer { return w.serverObject() },
		"duende": func(w *world) *v1alpha1.ClusterAuthorizationServer {
			_, server := w.duendeServer(duende.Recorded())
			return server
		},
		"oauth": func(w *world) *v1alpha1.ClusterAuthorizationServer {
			_, server := w.oauthServer(oauth.Options{})
			return server
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(make(w))
			w.start(nil)
			c := w.clientObject("orders", atServer)
			if name != "keycloak" {
				scoped(c)
			}
			w.create(c)
			w.ready(c)
			method(v1alpha1.MethodPrivateKeyJWT)(c) // a secret before, a key now
			w.update(c)
			w.ready(c)
			mounted := w.secret(w.tenant, "orders")
			if _, ok := mounted.Data["client_secret"]; ok || !bytes.Contains(mounted.Data["private_key.pem"], []byte("PRIVATE KEY")) || len(mounted.Data["key_id"]) == 0 {
				t.Errorf("the mounted Secret has %d keys, a secret: %t", len(mounted.Data), ok)
			}
			if c.Status.Credential.Method != v1alpha1.MethodPrivateKeyJWT {
				t.Errorf("status: %+v", c.Status.Credential)
			}
		})
	}
}

func TestMethodsThatTheServerLacks(t *testing.T) {
	w := newWorld(t)
	_, server := w.duendeServer(duende.Recorded())
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", scoped, method(v1alpha1.MethodServiceAccountJWT))
	w.create(c)
	if words := w.condition(c, v1alpha1.ConditionRegistered, metav1.ConditionFalse, v1alpha1.ReasonMethodNotSupported); !strings.Contains(words, "PrivateKeyJWT") {
		t.Errorf("it does not say what can be had: %s", words)
	}
}

// A host that takes its issuer from the request is called by the issuer's host, wherever it is called.
func TestHostHeader(t *testing.T) {
	w := newWorld(t)
	idp, server := w.duendeServer(duende.Recorded())
	server.Spec.Issuer = strings.Replace(idp.URL(), "127.0.0.1", "localhost", 1)
	server.Spec.Connection = v1alpha1.ServerConnection{URL: idp.URL(), HostHeader: v1alpha1.HostHeaderIssuer}
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", scoped)
	w.create(c)
	w.ready(c)
	for _, call := range idp.Calls() {
		if !strings.HasPrefix(call.Host, "localhost:") {
			t.Errorf("%s was called as %s", call.Path, call.Host)
		}
	}
}
