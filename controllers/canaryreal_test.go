// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/env"
)

// On a real Keycloak: what the canary says of the mapping is what callers see of it.
func TestRealCanary(t *testing.T) {
	w, realm := newWorld(t), startRealm(t)
	server := w.serverObject(w.withCanary(canaryID, canaryPass))
	server.Spec.Issuer = realm.issuer
	w.create(server)
	stop := w.start(nil)
	c := w.clientObject("orders")
	w.create(c)
	w.ready(c)
	w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonMappingProven)
	w.condition(server, v1alpha1.ConditionCanaryAvailable, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	scope, ours := c.Status.AudienceScope, w.record(c).Current
	active := func(id, secret, wish string) bool {
		return realm.active(realm.token(id, secret, wish), c.Status.ClientID, ours.Secret.Reveal())
	}
	if !slices.Contains(realm.lent("optional"), scope) || slices.Contains(realm.lent("default"), scope) {
		t.Errorf("the mapping is not lent to the canary as optional: %q", realm.lent("optional"))
	}
	if !active(canaryID, canaryPass, scope) || !active(tokenClient, "web-secret", "") || active(canaryID, canaryPass, "") {
		t.Error("tokens name the client that are not to, or those that are to do not")
	}
	w.plausible(server)

	// A change of the object has it proven again, and an observer leaves what it finds.
	stop()
	realm.unmap(scope)
	w.management(c, v1alpha1.ManagementObserve)
	w.start(nil)
	words := w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionFalse, v1alpha1.ReasonMappingUnproven)
	if !strings.Contains(words, "Look at client scope "+scope) {
		t.Errorf("it does not say where to look: %s", words)
	}
	if active(tokenClient, "web-secret", "") {
		t.Error("unproven, and callers are let in")
	}
	if measured, failures, _ := w.probed(); measured != 0 || len(failures) != 0 {
		t.Errorf("with a client that can't look into the canary's tokens %d were measured, failures %q", measured, failures)
	}
	w.management(c, v1alpha1.ManagementFull)
	w.ready(c)
	w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonMappingProven)
	if !active(canaryID, canaryPass, scope) || !active(tokenClient, "web-secret", "") {
		t.Error("proven, and callers are refused")
	}
	w.eventually("the repair is told", func(ctx context.Context) error { return w.told(ctx, c, "DriftRepaired", "audience") })
	w.plausible(server)
	if err := w.kube.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.gone(c)
	if left := realm.lent("optional"); slices.Contains(left, scope) {
		t.Errorf("left with the canary: %q", left)
	}
}

// On a real node-oidc-provider, of which nobody knows what a revocation does until it was seen.
func TestRealCanaryOAuth(t *testing.T) {
	idp := env.OIDCProviderForTest(t, env.OIDCProviderOptions{})
	w := newWorld(t)
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.config.SystemNamespace, Name: "initial"},
		Data:       map[string][]byte{"token": []byte(idp.InitialAccessToken)},
	})
	server := w.serverObject(w.withCanary(idp.TokenClientID, idp.TokenClientSecret), func(s *v1alpha1.ClusterAuthorizationServer) {
		s.Spec.Issuer, s.Spec.Keycloak, s.Spec.OAuth = idp.Issuer, nil, &v1alpha1.OAuthServer{}
		s.Spec.Credentials = &v1alpha1.ServerCredentials{InitialAccessToken: &v1alpha1.SecretReference{SecretName: "initial"}}
		s.Spec.Access.Scopes = []string{ordersScope}
	})
	w.create(server)
	w.start(nil)
	c := w.clientObject("orders", scoped)
	w.create(c)
	w.ready(c)
	w.condition(c, v1alpha1.ConditionVerified, metav1.ConditionTrue, v1alpha1.ReasonMappingProven)
	p := w.plausible(server)
	open, err := p.clients.sessions.lookup(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	can := provider.Capabilities{OpaqueRevocation: provider.RevocationUnknown}
	if open.shownRevocations(&can); can.OpaqueRevocation != provider.RevocationImmediate {
		t.Errorf("of its opaque tokens the probe has shown %q", can.OpaqueRevocation)
	}
}

// plausible has one revocation measured, which is told in seconds: more than none, and less than all took.
func (w *world) plausible(server *v1alpha1.ClusterAuthorizationServer) *revocationProbe {
	w.t.Helper()
	w.ready(server)
	begun := time.Now()
	measured, failures, p := w.probed()
	all := time.Since(begun).Seconds()
	if measured != 1 || len(failures) != 0 {
		w.t.Fatalf("%d revocations were measured, failures %q", measured, failures)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(p.clients.metrics.revocations)
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	if took := families[0].GetMetric()[0].GetHistogram().GetSampleSum(); took <= 0 || took >= all {
		w.t.Errorf("a revocation took %v s of %v s", took, all)
	}
	return p
}

// realm is one at a real Keycloak, and how a test looks at it.
type realm struct {
	t             *testing.T
	admin, issuer string
}

// startRealm starts a Keycloak with the clients of a world, and the canary.
func startRealm(t *testing.T) *realm {
	t.Helper()
	own := map[string]any{"fullScopeAllowed": false}
	file := env.RealmForTest(t, "acme", nil,
		env.RealmClient{ID: operatorID, Secret: operatorPass, Roles: []string{"manage-clients"}},
		env.RealmClient{ID: tokenClient, Secret: "web-secret", Members: own},
		env.RealmClient{ID: canaryID, Secret: canaryPass, Members: own})
	server := env.KeycloakForTest(t, env.KeycloakOptions{RealmFiles: []string{file}})
	return &realm{t: t, admin: server.URL() + "/admin/realms/acme", issuer: server.URL() + "/realms/acme"}
}

// token is one by the client credentials grant, with a scope if it is named.
func (r *realm) token(id, secret, scope string) string {
	r.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	if scope != "" {
		form.Set("scope", scope)
	}
	var got struct {
		AccessToken string `json:"access_token"`
	}
	r.form("/token", form, &got)
	return got.AccessToken
}

// active asks about a token as a client.
func (r *realm) active(token, id, secret string) bool {
	r.t.Helper()
	var got struct{ Active bool }
	r.form("/token/introspect", url.Values{"token": {token}, "client_id": {id}, "client_secret": {secret}}, &got)
	return got.Active
}

// lent are the names of the canary's client scopes: its "default" or its "optional" ones.
func (r *realm) lent(kind string) (names []string) {
	r.t.Helper()
	var clients []struct{ ID string }
	r.manage(http.MethodGet, "/clients?clientId="+url.QueryEscape(canaryID), &clients)
	if len(clients) != 1 {
		r.t.Fatalf("%d clients %s", len(clients), canaryID)
	}
	var scopes []struct{ Name string }
	r.manage(http.MethodGet, "/clients/"+clients[0].ID+"/"+kind+"-client-scopes", &scopes)
	for _, s := range scopes {
		names = append(names, s.Name)
	}
	return names
}

// unmap deletes the mappers of a client scope, as somebody would by hand.
func (r *realm) unmap(name string) {
	r.t.Helper()
	var scopes []struct {
		ID, Name        string
		ProtocolMappers []struct{ ID string }
	}
	r.manage(http.MethodGet, "/client-scopes", &scopes)
	deleted := 0
	for _, s := range scopes {
		for _, m := range s.ProtocolMappers {
			if s.Name == name {
				r.manage(http.MethodDelete, "/client-scopes/"+s.ID+"/protocol-mappers/models/"+m.ID, nil)
				deleted++
			}
		}
	}
	if deleted != 1 {
		r.t.Fatalf("client scope %s had %d mappers", name, deleted)
	}
}

// form posts one to an endpoint of the realm.
func (r *realm) form(path string, form url.Values, into any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.issuer+"/protocol/openid-connect"+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.do(req, into)
}

// manage calls the Admin REST API with the operator's rights.
func (r *realm) manage(method, path string, into any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.admin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token(operatorID, operatorPass, ""))
	r.do(req, into)
}

func (r *realm) do(req *http.Request, into any) {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		err = errors.Join(err, fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, resp.Status))
	}
	if into != nil && err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}
