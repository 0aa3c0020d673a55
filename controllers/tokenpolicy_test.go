// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
)

// policyObject is the minimal one, named orders, for this world.
func (w *world) policyObject(change func(*v1alpha1.TokenPolicySpec), clients ...string) *v1alpha1.TokenPolicy {
	p := &v1alpha1.TokenPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: w.tenant, Name: "orders"}}
	for _, c := range clients {
		p.Spec.Accept = append(p.Spec.Accept, v1alpha1.AcceptedServer{ClientRef: v1alpha1.LocalReference{Name: c}})
	}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

func TestPolicyStatus(t *testing.T) {
	w := newWorld(t)
	w.config.ExtAuthzAddress, w.config.TokenReviewURL = "webhook.example:9444", "https://webhook.example:7443"
	w.start(nil)
	w.create(w.serverObject())
	c := w.clientObject("orders")
	w.create(c)
	w.ready(c)
	at := w.tenant + "/orders"
	for name, tc := range map[string]struct {
		reason    string
		change    func(*v1alpha1.TokenPolicySpec)
		endpoints v1alpha1.PolicyEndpoints
		surfaces  map[string]string // of JWTs, how a bound begins
	}{
		"plain": {
			reason: "every policy is asked over three protocols",
			endpoints: v1alpha1.PolicyEndpoints{
				Introspection: "https://webhook.example/introspect/" + at, Authorize: "https://webhook.example:9443/authorize/" + at, ExtAuthz: "webhook.example:9444",
			},
			surfaces: map[string]string{"Introspection": "30s", "Gateways": "30s"},
		},
		"local": {
			reason: "nobody is asked whether a token was revoked",
			change: func(s *v1alpha1.TokenPolicySpec) { s.Accept[0].Validation = v1alpha1.ValidationLocal },
			endpoints: v1alpha1.PolicyEndpoints{
				Introspection: "https://webhook.example/introspect/" + at, Authorize: "https://webhook.example:9443/authorize/" + at, ExtAuthz: "webhook.example:9444",
			},
			surfaces: map[string]string{"Introspection": "exp", "Gateways": "exp"},
		},
		"token review": {
			reason: "only where it says who a token is of",
			change: func(s *v1alpha1.TokenPolicySpec) {
				s.Freshness.MaxAge = &metav1.Duration{Duration: 10 * time.Second}
				s.Surfaces.TokenReview = &v1alpha1.TokenReviewSurface{Username: "claims.sub", Audiences: []string{"https://kubernetes.default.svc"}}
			},
			endpoints: v1alpha1.PolicyEndpoints{
				Introspection: "https://webhook.example/introspect/" + at, Authorize: "https://webhook.example:9443/authorize/" + at, ExtAuthz: "webhook.example:9444",
				TokenReview: "https://webhook.example:7443/tokenreview/" + at,
			},
			surfaces: map[string]string{"Introspection": "10s", "Gateways": "10s", "TokenReview": "10s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.policyObject(tc.change, "orders")
			w.create(p)
			w.ready(p)
			if diff := cmp.Diff(&tc.endpoints, p.Status.Endpoints); diff != "" {
				t.Errorf("%s (- want, + got):\n%s", tc.reason, diff)
			}
			got := map[string]string{}
			for _, r := range p.Status.Revocation {
				if begins := tc.surfaces[r.Surface]; r.TokenForm == "JWT" && begins != "" && strings.HasPrefix(r.Bound, begins) {
					r.Bound = begins
				}
				got[r.Surface] = r.Bound
			}
			if diff := cmp.Diff(tc.surfaces, got); diff != "" {
				t.Errorf("%s (- want, + got):\n%s", tc.reason, diff)
			}
			if err := w.kube.Delete(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Expressions are compiled before a policy is said to have a meaning: the webhook compiles
// them later, and nobody would read its log.
func TestAPolicyWhoseRulesDoNotCompile(t *testing.T) {
	w, _ := registered(t)
	p := w.policyObject(func(s *v1alpha1.TokenPolicySpec) {
		s.Require.Rules = []v1alpha1.Rule{{Name: "broken", Expression: "claims.sub =="}}
	}, "orders")
	w.create(p)
	w.says(p, v1alpha1.ConditionCompiled, metav1.ConditionFalse, v1alpha1.ReasonInvalidPolicy, "spec.require.rules[0].expression", true)
}

// Two entries of one issuer: a token does not tell which of them to ask by.
func TestTwoEntriesOfOneIssuer(t *testing.T) {
	w, _ := registered(t)
	second := w.clientObject("billing")
	w.create(second)
	w.ready(second)
	p := w.policyObject(nil, "orders", "billing")
	w.create(p)
	w.says(p, v1alpha1.ConditionClientsReady, metav1.ConditionFalse, v1alpha1.ReasonDuplicateIssuer, "orders and billing", true)
	w.condition(second, v1alpha1.ConditionPolicyBound, metav1.ConditionFalse, v1alpha1.ReasonPolicyNotFound)
	p.Spec.Accept = p.Spec.Accept[1:]
	w.update(p)
	w.ready(p)
}

// A server's keys that went away are seen by policies that need them, without anybody's help.
func TestAPolicySeesThatItsServerLostItsKeys(t *testing.T) {
	w, _ := registered(t)
	p := w.policyObject(func(s *v1alpha1.TokenPolicySpec) { s.Accept[0].Validation = v1alpha1.ValidationLocal }, "orders")
	w.create(p)
	w.ready(p)
	server := w.serverObject()
	w.ready(server)
	// The server's own controller may find the keys again at any moment: they are taken away
	// until the policy was seen to say so.
	w.eventually("the policy says that the keys are gone", func(ctx context.Context) error {
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(server), server); err != nil {
			return err
		}
		before := server.DeepCopy()
		server.Status.Endpoints.JWKS = ""
		if err := w.kube.Status().Patch(ctx, server, client.MergeFrom(before)); err != nil {
			return err
		}
		if err := w.kube.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		said := apimeta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionClientsReady)
		stalled := apimeta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionStalled)
		if !stalled || said == nil || said.Reason != v1alpha1.ReasonNoKeys || !strings.Contains(said.Message, "set validation Introspect") {
			return errors.New(describe(p.Status.Conditions))
		}
		return nil
	})
}

func TestFit(t *testing.T) {
	server := func(issuer string, change ...func(*v1alpha1.ClusterAuthorizationServer)) *v1alpha1.ClusterAuthorizationServer {
		s := &v1alpha1.ClusterAuthorizationServer{Spec: v1alpha1.ClusterAuthorizationServerSpec{Issuer: issuer}}
		s.Status.Endpoints = &v1alpha1.ServerEndpoints{Introspection: issuer + "/introspect", JWKS: issuer + "/jwks"}
		s.Status.Capabilities = &v1alpha1.ServerCapabilities{TokenForms: v1alpha1.TokenForms{JWT: "Yes", Opaque: "Yes"}}
		for _, c := range change {
			c(s)
		}
		return s
	}
	keyless := func(s *v1alpha1.ClusterAuthorizationServer) { s.Status.Endpoints.JWKS = "" }
	noJWT := func(s *v1alpha1.ClusterAuthorizationServer) { s.Status.Capabilities.TokenForms.JWT = "No" }
	unseen := func(s *v1alpha1.ClusterAuthorizationServer) { s.Status = v1alpha1.ClusterAuthorizationServerStatus{} }
	entry := func(name string, mode policy.Mode, s *v1alpha1.ClusterAuthorizationServer) acceptedClient {
		return acceptedClient{entry: policy.Entry{Client: name, Mode: mode}, client: &v1alpha1.IntrospectionClient{ObjectMeta: metav1.ObjectMeta{Name: name}}, server: s}
	}
	opaque := func(a acceptedClient) acceptedClient { a.entry.Opaque = true; return a }
	for name, tc := range map[string]struct {
		reason   string
		accepted []acceptedClient
		want     string
		says     string
	}{
		"two issuers":            {"each token tells which", []acceptedClient{entry("a", policy.ModeDefault, server("https://a")), entry("b", policy.ModeLocal, server("https://b"))}, "", ""},
		"one issuer twice":       {"it would not be told which client asks", []acceptedClient{entry("a", policy.ModeDefault, server("https://a")), entry("b", policy.ModeDefault, server("https://a"))}, v1alpha1.ReasonDuplicateIssuer, "a and b"},
		"local, no keys":         {"no signature could be verified", []acceptedClient{entry("a", policy.ModeLocal, server("https://a", keyless))}, v1alpha1.ReasonNoKeys, "validation Introspect"},
		"both, no keys":          {"the same", []acceptedClient{entry("a", policy.ModeLocalThenIntrospect, server("https://a", keyless))}, v1alpha1.ReasonNoKeys, "validation Introspect"},
		"default, no keys":       {"it introspects then", []acceptedClient{entry("a", policy.ModeDefault, server("https://a", keyless))}, "", ""},
		"asked, no keys":         {"it needs none", []acceptedClient{entry("a", policy.ModeIntrospect, server("https://a", keyless))}, "", ""},
		"a server not yet seen":  {"nobody knows what it has", []acceptedClient{entry("a", policy.ModeLocal, server("https://a", unseen))}, "", ""},
		"JWTs not introspected":  {"node-oidc-provider: every JWT would be refused", []acceptedClient{entry("a", policy.ModeDefault, server("https://a", noJWT))}, v1alpha1.ReasonUnsupportedTokenForm, "validation: Local"},
		"the same, asked for":    {"the same", []acceptedClient{entry("a", policy.ModeIntrospect, server("https://a", noJWT))}, v1alpha1.ReasonUnsupportedTokenForm, "validation: Local"},
		"the same, but local":    {"nobody is asked", []acceptedClient{entry("a", policy.ModeLocal, server("https://a", noJWT))}, "", ""},
		"the same, but opaque":   {"its clients get opaque tokens", []acceptedClient{opaque(entry("a", policy.ModeDefault, server("https://a", noJWT)))}, "", ""},
		"the second one's fault": {"each entry is looked at", []acceptedClient{entry("a", policy.ModeLocal, server("https://a")), entry("b", policy.ModeLocal, server("https://b", keyless))}, v1alpha1.ReasonNoKeys, "IntrospectionClient b"},
	} {
		t.Run(name, func(t *testing.T) {
			err := fit(tc.accepted)
			var h *halt
			if tc.want == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			if !errors.As(err, &h) || h.reason != tc.want || h.verdict != act || !strings.Contains(h.message, tc.says) {
				t.Errorf("%s: got %v, want %s that says %q", tc.reason, err, tc.want, tc.says)
			}
		})
	}
}

func TestWithServers(t *testing.T) {
	accepted := func(jwt ...string) []acceptedClient {
		var all []acceptedClient
		for i, revocation := range jwt {
			s := &v1alpha1.ClusterAuthorizationServer{}
			if revocation != "" {
				s.Status.Capabilities = &v1alpha1.ServerCapabilities{Revocation: v1alpha1.TokenRevocation{JWT: revocation, Opaque: "Immediate"}}
			}
			all = append(all, acceptedClient{client: &v1alpha1.IntrospectionClient{ObjectMeta: metav1.ObjectMeta{Name: string(rune('a' + i))}}, server: s, entry: policy.Entry{Opaque: i == 0}})
		}
		return all
	}
	for name, tc := range map[string]struct {
		reason, form, bound string
		accepted            []acceptedClient
		want                string
	}{
		"at once":       {"the policy's word stands", "JWT", "30s", accepted("Immediate"), "30s"},
		"not known yet": {"the policy's word stands", "JWT", "30s", accepted(""), "30s"},
		"never":         {"Duende's JWTs: asking makes no difference", "JWT", "30s", accepted("Never"), "exp: the server calls no such token inactive before"},
		"one of two":    {"each server has its own", "JWT", "30s", accepted("Immediate", "Never"), "exp at the server of b; elsewhere 30s"},
		"local anyway":  {"it is said already", "JWT", "exp", accepted("Never"), "exp"},
		"another form":  {"opaque tokens are revoked", "Opaque", "30s", accepted("Never"), "30s"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := withServers(policy.Revocation{Surface: "Gateways", TokenForm: tc.form, Bound: tc.bound}, tc.accepted); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// What the webhook verifies signatures by comes with the server's record.
func TestServersKeysAreProjected(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	server := w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Spec.AccessTokens.Algorithms = []v1alpha1.SignatureAlgorithm{"ES256", "RS256"}
	})
	w.create(server)
	w.ready(server)
	projected := func(ctx context.Context) (credential.WebhookServer, error) {
		s := &corev1.Secret{}
		name := "server-" + credential.Object{Name: w.server}.Hash()
		if err := w.kube.Get(ctx, client.ObjectKey{Namespace: w.config.WebhookNamespace, Name: name}, s); err != nil {
			return credential.WebhookServer{}, err
		}
		return credential.DecodeWebhookServer(s.Data)
	}
	got, err := projected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if server.Status.Endpoints.JWKS == "" || got.JWKSURI != server.Status.Endpoints.JWKS {
		t.Errorf("keys at %q, the server's status has %q", got.JWKSURI, server.Status.Endpoints.JWKS)
	}
	if diff := cmp.Diff([]string{"ES256", "RS256"}, got.Algorithms); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"at+jwt", "JWT"}, got.Types); diff != "" {
		t.Errorf("Keycloak says JWT of its access tokens (- want, + got):\n%s", diff)
	}
	server.Spec.AccessTokens.Types = []string{"at+jwt"}
	w.update(server)
	w.eventually("the types are the object's", func(ctx context.Context) error {
		if got, err := projected(ctx); err != nil || !cmp.Equal(got.Types, []string{"at+jwt"}) {
			return errors.Join(err, errors.New(strings.Join(got.Types, " ")))
		}
		return nil
	})
	state := serverState(got)
	if state.JWKSURI != got.JWKSURI || !cmp.Equal(state.Algorithms, got.Algorithms) || !cmp.Equal(state.Types, got.Types) {
		t.Errorf("the engine is told %+v", state)
	}
}

func TestTokenTypes(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		spec   v1alpha1.ClusterAuthorizationServerSpec
		want   []string
	}{
		"keycloak": {"it says JWT of all its tokens", v1alpha1.ClusterAuthorizationServerSpec{Keycloak: &v1alpha1.KeycloakServer{}}, []string{"at+jwt", "JWT"}},
		"duende":   {"RFC 9068", v1alpha1.ClusterAuthorizationServerSpec{Duende: &v1alpha1.DuendeServer{}}, []string{"at+jwt"}},
		"oauth":    {"an ID token says JWT too", v1alpha1.ClusterAuthorizationServerSpec{OAuth: &v1alpha1.OAuthServer{}}, []string{"at+jwt"}},
		"declared": {"the platform knows its server", v1alpha1.ClusterAuthorizationServerSpec{OAuth: &v1alpha1.OAuthServer{}, AccessTokens: v1alpha1.AccessTokenForm{Types: []string{"JWT"}}}, []string{"JWT"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tokenTypesOf(&v1alpha1.ClusterAuthorizationServer{Spec: tc.spec})); diff != "" {
				t.Errorf("%s (- want, + got):\n%s", tc.reason, diff)
			}
		})
	}
}
