// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/env"
)

const (
	frameworkSecret = "Zm9ybWF0cw-_canary"
	opaqueToken     = "an-opaque-token"
)

// program is a framework and how it takes what a pod would give it.
type program struct {
	jar    string
	format credential.Format
	// listen are the variables that have it listen at 127.0.0.1 and the port.
	listen func(port int) []string
	// inEnvironment says that the pod has envFrom.
	inEnvironment bool
	// clientID is as difficult as the framework allows: only Spring encodes a colon.
	clientID string
}

func programs() map[string]program {
	return map[string]program{
		"Spring Boot": {"spring/target/spring-1.jar", credential.FormatSpring, func(port int) []string {
			return []string{"SERVER_ADDRESS=127.0.0.1", fmt.Sprintf("SERVER_PORT=%d", port)}
		}, false, "shop:orders"},
		"Quarkus": {"quarkus/target/quarkus-app/quarkus-run.jar", credential.FormatQuarkus, func(port int) []string {
			return []string{"QUARKUS_HTTP_HOST=127.0.0.1", fmt.Sprintf("QUARKUS_HTTP_PORT=%d", port)}
		}, true, "shop.orders/v1"},
	}
}

// The Secret's data, and the lines of docs/frameworks.md, are all that a real
// program needs to introspect at our endpoint.
func TestFrameworksIntrospect(t *testing.T) {
	ca := env.CAForTest(t)
	for name, p := range programs() {
		t.Run(name, func(t *testing.T) {
			endpoint := newEndpoint(t, ca, p.clientID)
			address := p.start(t, endpoint.mounted(ca))
			for kind, tc := range map[string]struct {
				reason, token string
				status        int
			}{
				"opaque":  {"it is active", opaqueToken, http.StatusOK},
				"jwt":     {"introspected too: nobody else knows that it was revoked", jwt(), http.StatusOK},
				"bad":     {"it is not active", "another-token", http.StatusUnauthorized},
				"bad jwt": {"it is not active", jwt() + "x", http.StatusUnauthorized},
				"none":    {"nobody is let in without", "", http.StatusUnauthorized},
			} {
				t.Run(kind, func(t *testing.T) {
					before := endpoint.asked.Load()
					status, body := get(t, address, tc.token)
					if status != tc.status {
						t.Errorf("%s: it answers %d", tc.reason, status)
					}
					if status == http.StatusOK && body != "alice" {
						t.Errorf("it takes the caller for %q", body)
					}
					if asked := endpoint.asked.Load() > before; asked != (tc.token != "") {
						t.Errorf("our endpoint was asked: %t", asked)
					}
				})
			}
		})
	}
}

// A stranger at our address is not told the secret: the lines that trust ca.crt trust
// nobody else.
func TestFrameworksTrustTheirCA(t *testing.T) {
	for name, p := range programs() {
		t.Run(name, func(t *testing.T) {
			endpoint := newEndpoint(t, env.CAForTest(t), p.clientID)
			address := p.start(t, endpoint.mounted(env.CAForTest(t)))
			if status, _ := get(t, address, opaqueToken); status == http.StatusOK || endpoint.asked.Load() != 0 {
				t.Errorf("it answers %d, and told a stranger a secret", status)
			}
		})
	}
}

// start runs the program as a pod of the Secret and returns its address.
func (p program) start(t *testing.T, mounted credential.Mounted) string {
	t.Helper()
	data := mounted.Data(credential.Shape{Formats: []credential.Format{p.format}})
	bindings, port := t.TempDir(), env.FreePortForTest(t)
	if p.inEnvironment {
		mount(t, filepath.Join(bindings, "orders"), map[string][]byte{"ca.crt": data["ca.crt"]})
	} else {
		mount(t, filepath.Join(bindings, "orders"), data)
	}
	variables := append(p.listen(port), "SERVICE_BINDING_ROOT="+bindings)
	if p.inEnvironment {
		for key, value := range data {
			variables = append(variables, key+"="+string(value))
		}
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	env.FrameworkForTest(t, env.FrameworkOptions{Root: "../../..", Jar: p.jar, Env: variables, Address: address})
	return address
}

// mount writes data as the kubelet mounts a Secret: files are links through ..data.
func mount(t *testing.T, dir string, data map[string][]byte) {
	t.Helper()
	version := filepath.Join(dir, "..2026_01_01")
	if err := os.MkdirAll(version, 0o700); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{"..data": "..2026_01_01"}
	for key, value := range data {
		if err := os.WriteFile(filepath.Join(version, key), value, 0o600); err != nil {
			t.Fatal(err)
		}
		links[key] = "..data/" + key
	}
	for name, target := range maps.All(links) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// endpoint is an introspection endpoint (RFC 7662) that knows one client and two tokens.
type endpoint struct {
	*httptest.Server
	clientID string
	// asked counts the questions that came with the client's credentials.
	asked atomic.Int64
}

func newEndpoint(t *testing.T, ca *env.CA, clientID string) *endpoint {
	t.Helper()
	e := &endpoint{clientID: clientID}
	e.Server = httptest.NewUnstartedServer(e)
	e.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{
		ca.CertificateForTest(t, env.Names{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}),
	}}
	e.Config.ErrorLog = log.New(io.Discard, "", 0) // a refused handshake is what one test is about
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

// ServeHTTP knows nothing but the path in the Secret: who looks for discovery or
// keys finds none.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	// Form-encoded as RFC 6749 section 2.3.1 says, or not, as many do.
	decoded, err := url.QueryUnescape(id)
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/introspect/shop/orders":
		w.WriteHeader(http.StatusNotFound)
	case err != nil || decoded != e.clientID || secret != frameworkSecret:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		e.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		answer := `{"active":false}`
		if token := r.PostFormValue("token"); token == opaqueToken || token == jwt() {
			answer = `{"active":true,"sub":"alice","username":"alice","client_id":"web","iss":"https://sso.example.com"}`
		}
		_, _ = io.WriteString(w, answer)
	}
}

// mounted is the Secret of a client whose endpoint this is, certified by ca.
func (e *endpoint) mounted(ca *env.CA) credential.Mounted {
	return credential.Mounted{
		Provider: "keycloak", ClientID: e.clientID, ClientSecret: frameworkSecret, Issuer: "https://sso.example.com",
		IntrospectionEndpoint: e.URL + "/introspect/shop/orders", TokenEndpoint: "https://sso.example.com/token",
		JWKSURI: "https://sso.example.com/jwks", CA: string(ca.PEM()),
	}
}

// jwt has the form of one, and no signature that anybody could check.
func jwt() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + part([]byte(`{"iss":"https://sso.example.com","sub":"alice","exp":4102444800}`)) + "." + part([]byte("signature"))
}

// get asks the program as a user with the token would.
func get(t *testing.T, address, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/orders", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
