// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

type (
	serverChange = func(*v1alpha1.ClusterAuthorizationServer)
	clientChange = func(*v1alpha1.IntrospectionClient)
)

// What a new user gets wrong at the server object: each has a reason, and a
// message that says what to do. docs/troubleshooting.md has the same table.
func TestBadServers(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare   func(w *world)
		change    func(w *world, s *v1alpha1.ClusterAuthorizationServer)
		condition string
		value     metav1.ConditionStatus
		reason    string
		says      string
		stalled   bool
	}{
		"wrong realm": {
			change: func(_ *world, s *v1alpha1.ClusterAuthorizationServer) {
				s.Spec.Issuer = strings.Replace(s.Spec.Issuer, "/acme", "/acne", 1)
			},
			condition: v1alpha1.ConditionReachable, value: metav1.ConditionFalse, reason: v1alpha1.ReasonIssuerNotFound,
			says: "Is the realm's name right?", stalled: true,
		},
		"wrong issuer": {
			change: func(_ *world, s *v1alpha1.ClusterAuthorizationServer) {
				s.Spec.Connection.URL = s.Spec.Issuer
				s.Spec.Issuer = "https://sso.example.com/realms/acme"
			},
			condition: v1alpha1.ConditionIssuerVerified, value: metav1.ConditionFalse, reason: v1alpha1.ReasonIssuerMismatch,
			says: "Create an object with the server's own issuer", stalled: true,
		},
		"unreachable host": {
			change: func(_ *world, s *v1alpha1.ClusterAuthorizationServer) {
				s.Spec.Issuer = "http://127.0.0.1:1/realms/acme"
			},
			condition: v1alpha1.ConditionReachable, value: metav1.ConditionUnknown, reason: v1alpha1.ReasonUnreachable,
			says: "Is the address right",
		},
		"a web page": {
			prepare: func(w *world) {
				w.idp.Inject(keycloak.Fault{Match: keycloak.Matching("", "/.well-known/"), Status: 200, Body: keycloak.HTML})
			},
			condition: v1alpha1.ConditionReachable, value: metav1.ConditionFalse, reason: v1alpha1.ReasonInvalidMetadata,
			says: "is no authorization server", stalled: true,
		},
		"wrong credentials": {
			prepare: func(w *world) {
				s := w.secret(w.config.SystemNamespace, "keycloak-operator")
				s.Data["client_secret"] = []byte("wrong")
				w.update(s)
			},
			condition: v1alpha1.ConditionAuthenticated, value: metav1.ConditionFalse, reason: v1alpha1.ReasonCredentialsRefused,
			says: "Put the right client_id and client_secret into the Secret",
		},
		"no Secret": {
			prepare:   func(w *world) { w.deleteSecret(w.config.SystemNamespace, "keycloak-operator") },
			condition: v1alpha1.ConditionAuthenticated, value: metav1.ConditionFalse, reason: v1alpha1.ReasonSecretNotFound,
			says: "Create it in namespace system-", stalled: true,
		},
		"a Secret without a key": {
			prepare: func(w *world) {
				s := w.secret(w.config.SystemNamespace, "keycloak-operator")
				delete(s.Data, "client_secret")
				w.update(s)
			},
			condition: v1alpha1.ConditionAuthenticated, value: metav1.ConditionFalse, reason: v1alpha1.ReasonSecretNotFound,
			says: "needs client_secret", stalled: true,
		},
		"missing rights": {
			prepare:   func(w *world) { w.idp.SetRoles(operatorID, "view-clients") },
			condition: v1alpha1.ConditionAuthenticated, value: metav1.ConditionFalse, reason: v1alpha1.ReasonMissingRights,
			says: "role manage-clients", stalled: true,
		},
		"no CA bundle": {
			change: func(_ *world, s *v1alpha1.ClusterAuthorizationServer) {
				s.Spec.Connection.CABundle = &v1alpha1.CABundleReference{Kind: "ConfigMap", Name: "corp-ca", Key: "ca.crt"}
			},
			condition: v1alpha1.ConditionReachable, value: metav1.ConditionFalse, reason: v1alpha1.ReasonSecretNotFound,
			says: "ConfigMap corp-ca does not exist", stalled: true,
		},
		"a CA bundle that is none": {
			prepare: func(w *world) {
				w.create(&corev1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Namespace: w.config.SystemNamespace, Name: "corp-ca"}, Data: map[string]string{"ca.crt": "no PEM"},
				})
			},
			change: func(_ *world, s *v1alpha1.ClusterAuthorizationServer) {
				s.Spec.Connection.CABundle = &v1alpha1.CABundleReference{Kind: "ConfigMap", Name: "corp-ca", Key: "ca.crt"}
			},
			condition: v1alpha1.ConditionReachable, value: metav1.ConditionFalse, reason: v1alpha1.ReasonInvalidCABundle,
			says: "no PEM certificate", stalled: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tc.prepare != nil {
				tc.prepare(w)
			}
			w.start(nil)
			s := w.serverObject()
			if tc.change != nil {
				tc.change(w, s)
			}
			w.create(s)
			w.says(s, tc.condition, tc.value, tc.reason, tc.says, tc.stalled)
		})
	}
}

// http is refused unless the operator was told to allow it.
func TestHTTPIssuerNeedsAFlag(t *testing.T) {
	w := newWorld(t)
	w.config.AllowInsecureLoopback = false
	w.start(nil)
	s := w.serverObject()
	w.create(s)
	w.says(s, v1alpha1.ConditionReachable, metav1.ConditionFalse, v1alpha1.ReasonInsecureIssuer, "--allow-insecure-loopback", true)
}

// What a new user gets wrong at a client.
func TestBadClients(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare   func(w *world)
		server    serverChange
		client    clientChange
		condition string
		value     metav1.ConditionStatus
		reason    string
		says      string
		stalled   bool
	}{
		"unknown server": {
			client:    func(c *v1alpha1.IntrospectionClient) { c.Spec.AuthorizationServerRef.Name = "nobody" },
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonServerNotFound,
			says: "kubectl get casrv", // not stalled: it may be applied yet
		},
		"server not ready": {
			prepare:   func(w *world) { w.idp.SetRoles(operatorID) },
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionUnknown, reason: v1alpha1.ReasonServerNotReady,
			says: "is not Ready (MissingRights)",
		},
		"a namespace without access": {
			server: func(s *v1alpha1.ClusterAuthorizationServer) {
				s.Spec.Access.NamespaceSelector.MatchLabels = map[string]string{"introspection.dev/server": "corporate"}
			},
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonAccessDenied,
			says: "The platform team labels the namespace", stalled: true,
		},
		"a server that grants nobody": {
			server:    func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access = nil },
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonAccessDenied,
			says: "has no spec.access", stalled: true,
		},
		"a client id outside the namespace's prefix": {
			client:    func(c *v1alpha1.IntrospectionClient) { c.Spec.ClientID = "billing.orders" },
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonClientIDNotAllowed,
			says: "it must begin with shop-", stalled: true,
		},
		"a name too long for a client id": {
			client:    func(c *v1alpha1.IntrospectionClient) { c.Name = strings.Repeat("n", 120) },
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonClientIDNotAllowed,
			says: "Set a shorter spec.clientID", stalled: true,
		},
		"a client id that exists": {
			prepare: func(w *world) {
				w.idp.AddClient(keycloak.Client{ID: w.tenant + ".orders", Secret: "somebody-elses"})
			},
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonOwnershipConflict,
			says: "Set another spec.clientID in a new object, or delete that client", stalled: true,
		},
		"a client id of another owner": {
			prepare: func(w *world) {
				w.idp.AddClient(keycloak.Client{ID: w.tenant + ".orders", Secret: "s", Attributes: map[string]string{"introspection.dev/owner": "eu-2/shop/orders"}})
			},
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonOwnershipConflict,
			says: "belongs to eu-2/shop/orders", stalled: true,
		},
		"no token client": {
			server:    func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Keycloak.TokenClients = nil },
			condition: v1alpha1.ConditionAudienceMapped, value: metav1.ConditionFalse, reason: v1alpha1.ReasonNoTokenClients,
			says: "Set spec.keycloak.tokenClients", stalled: true,
		},
		"a token client that does not exist": {
			server:    func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Keycloak.TokenClients = []string{"wbe"} },
			condition: v1alpha1.ConditionAudienceMapped, value: metav1.ConditionFalse, reason: v1alpha1.ReasonTokenClientNotFound,
			says: `"wbe" does not exist`, stalled: true,
		},
		"a token client beyond the server's list": {
			client:    func(c *v1alpha1.IntrospectionClient) { c.Spec.Audience.TokenClients = []string{"mobile"} },
			condition: v1alpha1.ConditionAudienceMapped, value: metav1.ConditionFalse, reason: v1alpha1.ReasonTokenClientNotAllowed,
			says: "the list beyond which nothing is mapped", stalled: true,
		},
		"a mode that the server does not allow": {
			server: func(s *v1alpha1.ClusterAuthorizationServer) {
				s.Spec.Access.Audience.Modes = []v1alpha1.AudienceMode{v1alpha1.AudienceOnRequest}
			},
			condition: v1alpha1.ConditionAudienceMapped, value: metav1.ConditionFalse, reason: v1alpha1.ReasonAudienceModeNotAllowed,
			says: "access.audience.modes", stalled: true,
		},
		"more audiences than the cap": {
			server: func(s *v1alpha1.ClusterAuthorizationServer) { s.Spec.Access.Audience.MaxPerTokenClient = 1 },
			prepare: func(w *world) {
				first := w.clientObject("first")
				w.create(first)
				w.ready(first)
			},
			condition: v1alpha1.ConditionAudienceMapped, value: metav1.ConditionFalse, reason: v1alpha1.ReasonTooManyAudiences,
			says: "Use spec.audience.mode OnRequest",
		},
		"retain without leave": {
			client:    func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain },
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonRetainNotAllowed,
			says: "spec.access.retain", stalled: true,
		},
		"a Secret that is somebody else's": {
			prepare: func(w *world) {
				w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "orders"}, Data: map[string][]byte{"k": []byte("theirs")}})
			},
			condition: v1alpha1.ConditionPublished, value: metav1.ConditionFalse, reason: v1alpha1.ReasonSecretConflict,
			says: "it is left as it is", stalled: true,
		},
		"rights taken away at the server": {
			prepare: func(w *world) {
				s := w.serverObject()
				w.ready(s)
				w.idp.Inject(keycloak.Fault{Match: keycloak.Matching("POST", "/clients"), Undone: true, Status: 403, Body: `{"error":"HTTP 403 Forbidden"}`})
			},
			condition: v1alpha1.ConditionRegistered, value: metav1.ConditionFalse, reason: v1alpha1.ReasonForbidden,
			says: "role manage-clients", stalled: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start(nil)
			s := w.serverObject()
			if tc.server != nil {
				tc.server(s)
			}
			w.create(s)
			if tc.prepare != nil {
				tc.prepare(w)
			}
			c := w.clientObject("orders")
			if tc.client != nil {
				tc.client(c)
			}
			w.create(c)
			w.says(c, tc.condition, tc.value, tc.reason, tc.says, tc.stalled)
			if s := (&corev1.Secret{}); w.kube.Get(t.Context(), client.ObjectKey{Namespace: w.tenant, Name: c.Name}, s) == nil && s.Labels != nil {
				t.Error("a Secret was published for a client that is not Ready")
			}
		})
	}
}

// What a new user gets wrong at a policy.
func TestBadPolicies(t *testing.T) {
	w, c := registered(t)
	p := &v1alpha1.TokenPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "orders"},
		Spec:       v1alpha1.TokenPolicySpec{Accept: []v1alpha1.AcceptedServer{{ClientRef: v1alpha1.LocalReference{Name: "ordres"}}}},
	}
	w.condition(c, v1alpha1.ConditionPolicyBound, metav1.ConditionFalse, v1alpha1.ReasonPolicyNotFound)
	w.create(p)
	w.says(p, v1alpha1.ConditionClientsReady, metav1.ConditionFalse, v1alpha1.ReasonClientNotFound, "There is no IntrospectionClient ordres", false)
	w.condition(c, v1alpha1.ConditionPolicyBound, metav1.ConditionFalse, v1alpha1.ReasonPolicyNamesAnotherClient)
	p.Spec.Accept[0].ClientRef.Name = "orders"
	w.update(p)
	w.ready(p)
	w.condition(c, v1alpha1.ConditionPolicyBound, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	p.Spec.Accept[0].ClientRef.Name = "ordres"
	w.update(p)
	w.condition(c, v1alpha1.ConditionPolicyBound, metav1.ConditionFalse, v1alpha1.ReasonPolicyNamesAnotherClient)
}

// says waits for a condition, and demands that its message, Ready and Stalled say so too.
func (w *world) says(o client.Object, condition string, value metav1.ConditionStatus, reason, says string, stalled bool) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s says %q", o.GetName(), says), func(ctx context.Context) error {
		for _, c := range []string{condition, v1alpha1.ConditionReady} {
			found := apimeta.FindStatusCondition(conditionsOf(o), c)
			if found == nil || found.Reason != reason || !strings.Contains(found.Message, says) {
				return errors.Join(w.kube.Get(ctx, client.ObjectKeyFromObject(o), o), errors.New(describe(conditionsOf(o))))
			}
		}
		return nil
	})
	w.condition(o, condition, value, reason)
	w.condition(o, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
	kind := v1alpha1.ConditionReconciling
	if stalled {
		kind = v1alpha1.ConditionStalled
	}
	w.condition(o, kind, metav1.ConditionTrue, reason)
}
