// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/test/harness"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// rotationOverlap is the shortest there is: callers must have read their Secret by then.
const rotationOverlap = time.Minute

// BenchmarkRotations rotates 20 clients under load, by the real processes of both planes: 32 callers ask
// the facade, each re-reading the mounted Secret at a pace of its own within the overlap, until every
// overlap is over. failed-calls is what it is for: 0.
func BenchmarkRotations(b *testing.B) {
	for name, at := range map[string]func(testing.TB) rotationServer{
		"Keycloak": realKeycloak(false), "KeycloakWithPolicy": realKeycloak(true), "NodeOIDCProvider": realProvider,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := newRotations(b, at(b), 20)
				report := r.underLoad(b, 32)
				b.ReportMetric(float64(report.failed), "failed-calls")
				b.ReportMetric(float64(report.calls), "calls")
				b.ReportMetric(float64(report.rereads), "re-reads")
				b.ReportMetric(float64(report.rotated), "rotations")
			}
		})
	}
}

// TestRotationsUnderLoad is the same, smaller, as a test: a rotation fails no call.
func TestRotationsUnderLoad(t *testing.T) {
	for name, at := range map[string]func(testing.TB) rotationServer{"a Keycloak that takes one secret": standIn, "node-oidc-provider": realProvider} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRotations(t, at(t), 3)
			report := r.underLoad(t, 8)
			if report.failed > 0 || report.rotated != 3 || report.rereads < 8 || report.calls < 100 {
				t.Errorf("%d of %d calls failed in %d rotations, with %d readings of a new secret", report.failed, report.calls, report.rotated, report.rereads)
			}
		})
	}
}

// rotationServer is an authorization server, how the operator registers clients there, and the token that callers
// ask about.
type rotationServer struct {
	spec   v1alpha1.ClusterAuthorizationServerSpec
	secret map[string]string // of the operator's sign-in
	// token is one that all of the clients may look into, and active says that it is good; nil for one that nobody issued.
	token  func(ctx context.Context) (string, error)
	active bool
}

func keycloakSpec(issuer string) v1alpha1.ClusterAuthorizationServerSpec {
	return v1alpha1.ClusterAuthorizationServerSpec{
		Issuer:      issuer,
		Credentials: &v1alpha1.ServerCredentials{ClientCredentials: &v1alpha1.SecretReference{SecretName: "sign-in"}},
		Keycloak:    &v1alpha1.KeycloakServer{TokenClients: []string{"web"}},
		Access:      &v1alpha1.ServerAccess{NamespaceSelector: &metav1.LabelSelector{}},
	}
}

// realKeycloak is one with or without a client policy that rotates secrets.
func realKeycloak(policed bool) func(testing.TB) rotationServer {
	return func(tb testing.TB) rotationServer {
		tb.Helper()
		realm := map[string]any{"accessTokenLifespan": 3600}
		if policed {
			maps.Copy(realm, env.SecretRotation())
		}
		file := env.RealmForTest(tb, "acme", realm, operatorClient, env.RealmClient{ID: "web", Secret: "web-secret"})
		idp := env.KeycloakForTest(tb, env.KeycloakOptions{RealmFiles: []string{file}})
		return keycloakServer(idp.URL() + "/realms/acme")
	}
}

// standIn speaks Keycloak's protocol.
func standIn(tb testing.TB) rotationServer {
	tb.Helper()
	idp := keycloak.New(keycloak.Options{Clients: []keycloak.Client{keycloak.Operator("operator", operatorSecret), {ID: "web", Secret: "web-secret"}}})
	idp.Start()
	tb.Cleanup(idp.Close)
	return keycloakServer(idp.Issuer())
}

func keycloakServer(issuer string) rotationServer {
	return rotationServer{
		spec: keycloakSpec(issuer), secret: map[string]string{"client_id": "operator", "client_secret": operatorSecret},
		token: func(ctx context.Context) (string, error) {
			return clientToken(ctx, issuer+"/protocol/openid-connect/token", "web", "web-secret")
		},
		active: true,
	}
}

// realProvider is a node-oidc-provider, which chooses ids and secrets.
func realProvider(tb testing.TB) rotationServer {
	tb.Helper()
	p := env.OIDCProviderForTest(tb, env.OIDCProviderOptions{})
	return rotationServer{
		spec: v1alpha1.ClusterAuthorizationServerSpec{
			Issuer: p.Issuer, OAuth: &v1alpha1.OAuthServer{},
			Credentials: &v1alpha1.ServerCredentials{InitialAccessToken: &v1alpha1.SecretReference{SecretName: "sign-in"}},
			Access:      &v1alpha1.ServerAccess{NamespaceSelector: &metav1.LabelSelector{}},
		},
		secret: map[string]string{"token": p.InitialAccessToken},
		token:  func(context.Context) (string, error) { return "nobody-issued-this", nil },
	}
}

// objects makes n clients with a policy each, and waits until all of them are Ready.
func (r *rotations) objects(tb testing.TB, n int) {
	tb.Helper()
	for _, name := range []string{"introspection-system", "introspection", "shop"} {
		r.create(tb, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	r.create(tb, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "introspection-system", Name: "sign-in"}, StringData: r.server.secret})
	r.create(tb, &v1alpha1.ClusterAuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "corporate"}, Spec: r.server.spec})
	for i := range n {
		name := fmt.Sprintf("api-%d", i)
		r.create(tb, &v1alpha1.IntrospectionClient{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec: v1alpha1.IntrospectionClientSpec{
				AuthorizationServerRef: v1alpha1.ServerReference{Name: "corporate"},
				Rotation:               &v1alpha1.ClientRotation{Overlap: &metav1.Duration{Duration: rotationOverlap}},
			},
		})
		policy := &v1alpha1.TokenPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
		policy.Spec.Accept = []v1alpha1.AcceptedServer{{
			ClientRef: v1alpha1.LocalReference{Name: name}, Validation: v1alpha1.ValidationIntrospect, Opaque: v1alpha1.OpaqueAccepted,
		}}
		policy.Spec.Freshness.MaxAge = &metav1.Duration{Duration: time.Second} // so that the server is asked all the time
		if r.server.spec.OAuth != nil {
			policy.Spec.Require.Audiences = &v1alpha1.AudienceRequirement{AnyOf: []string{name}}
		}
		r.create(tb, policy)
		r.names = append(r.names, name)
	}
	harness.Eventually(tb, operatorStart, "all are Ready", func(ctx context.Context) error {
		for _, name := range r.names {
			c := &v1alpha1.IntrospectionClient{}
			if err := r.kube.Get(ctx, client.ObjectKey{Namespace: "shop", Name: name}, c); err != nil {
				return err
			}
			if !apimeta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
				return fmt.Errorf("%s: %+v", name, c.Status.Conditions)
			}
		}
		return nil
	})
}

func (r *rotations) create(tb testing.TB, o client.Object) {
	tb.Helper()
	if err := r.kube.Create(context.Background(), o); err != nil {
		tb.Fatal(err)
	}
}
