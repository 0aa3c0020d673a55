// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/test/env"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
)

const benchRealm = `{"realm":"acme","enabled":true,"sslRequired":"none",
"clientScopes":[{"name":"orders.read","protocol":"openid-connect","attributes":{"include.in.token.scope":"true"}}],
"clients":[
 {"clientId":"web","secret":"web-secret","serviceAccountsEnabled":true,"standardFlowEnabled":false,"defaultClientScopes":["orders.read"],
  "protocolMappers":[{"name":"audience","protocol":"openid-connect","protocolMapper":"oidc-audience-mapper",
   "config":{"included.custom.audience":"shop.orders","access.token.claim":"true","introspection.token.claim":"true"}}]},
 {"clientId":"shop.orders","secret":"s","standardFlowEnabled":false,"serviceAccountsEnabled":false}]}`

// BenchmarkFacadeAgainstKeycloak compares the facade on a warm cache with asking a real
// Keycloak about the same token, over TLS, with the same generator.
func BenchmarkFacadeAgainstKeycloak(b *testing.B) {
	certs := certificates(b)
	dir := b.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			b.Fatal(err)
		}
		return path
	}
	certPEM, keyPEM, err := certs.ca.Issue(env.Names{DNS: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		b.Fatal(err)
	}
	idp := env.KeycloakForTest(b, env.KeycloakOptions{
		RealmFiles: []string{write("acme.json", []byte(benchRealm))}, CertFile: write("tls.crt", certPEM), KeyFile: write("tls.key", keyPEM),
	})
	realm := idp.URL() + "/realms/acme"
	raw := obtain(b, certs, realm+"/protocol/openid-connect/token")
	endpoint := realm + "/protocol/openid-connect/token/introspect"
	s := setup{server: &engine.ServerState{
		UID: "s", Name: "corporate", Issuer: realm, IntrospectionEndpoint: endpoint, CAPEM: certs.ca.PEM(),
		JWKSURI: realm + "/protocol/openid-connect/certs", Types: []string{"JWT"}, Timeout: 10 * time.Second, Namespaces: map[string]struct{}{"shop": {}},
	}}
	p := s.startWith(b, certs)
	ours := p.newLoad(b, p.addresses.Introspection, question("/introspect/shop/orders", facadeID, facadeSecret, raw))
	target, err := url.Parse(endpoint)
	if err != nil {
		b.Fatal(err)
	}
	theirs := p.newLoad(b, target.Host, question(target.Path, facadeID, "s", raw))
	for b.Loop() {
		compare(b, ours.run, theirs.run, burst).report(b)
	}
}

// obtain gets a token as the client web.
func obtain(b *testing.B, certs *plane, endpoint string) string {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certs.ca.Pool(), MinVersion: tls.VersionTLS12}}}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"web"}, "client_secret": {"web-secret"}}
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		b.Fatal(resp.Status, err)
	}
	return answer.AccessToken
}
