// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

func TestMetadata(t *testing.T) {
	w := start(t, options())
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		got := w.do(http.MethodGet, w.URL()+path, "", "", nil)
		if got.text("issuer") != w.Issuer() || got.text("registration_endpoint") != w.URL()+"/register" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestRegistration(t *testing.T) {
	w := start(t, options())
	made := w.register(introspects())
	for _, member := range []string{"client_id", "client_secret", "registration_access_token", "registration_client_uri"} {
		if made.text(member) == "" {
			t.Errorf("no %s", member)
		}
	}
	read := w.manage(http.MethodGet, made.text("registration_client_uri"), made.text("registration_access_token"), nil)
	if diff := cmp.Diff(made.body, read.body); read.status != http.StatusOK || diff != "" {
		t.Errorf("%d, and (-registered +read):\n%s", read.status, diff)
	}
	operator := w.post("/token", "operator", "s", "grant_type", "client_credentials").text("access_token")
	powerless := w.token().text("access_token")
	for name, tc := range map[string]struct {
		reason   string
		token    string
		metadata map[string]any
		want     refusal
	}{
		"nobody":        {"registration is not for everybody", "", introspects(), refusal{401, "invalid_token"}},
		"another":       {"the initial access token is compared", "x", introspects(), refusal{401, "invalid_token"}},
		"powerless":     {"not every client may", powerless, introspects(), refusal{403, "insufficient_scope"}},
		"operator":      {"this one may", operator, introspects(), refusal{201, ""}},
		"array":         {"no object, no client", "initial", nil, refusal{400, "invalid_client_metadata"}},
		"type":          {"a list is a list", "initial", with(introspects(), "grant_types", "client_credentials"), refusal{400, "invalid_client_metadata"}},
		"no redirect":   {"RFC 7591 defaults to authorization_code", "initial", map[string]any{}, refusal{400, "invalid_redirect_uri"}},
		"method":        {"a method that is none", "initial", with(introspects(), "token_endpoint_auth_method", "x"), refusal{400, "invalid_client_metadata"}},
		"no keys":       {"keys or no private_key_jwt", "initial", with(introspects(), "token_endpoint_auth_method", "private_key_jwt"), refusal{400, "invalid_client_metadata"}},
		"no such scope": {"scopes are checked", "initial", with(introspects(), "scope", "x"), refusal{400, "invalid_client_metadata"}},
	} {
		if diff := cmp.Diff(tc.want, w.manage(http.MethodPost, w.URL()+"/register", tc.token, tc.metadata).refusal()); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
}

func TestManagement(t *testing.T) {
	o := options()
	o.NewRegistrationToken, o.NewSecret = true, true
	w := start(t, o)
	made := w.register(introspects())
	at, token, secret := made.text("registration_client_uri"), made.text("registration_access_token"), made.text("client_secret")
	mine := with(introspects(), "client_id", made.text("client_id"))
	for name, metadata := range map[string]map[string]any{
		"another id": with(mine, "client_id", "x"), "another secret": with(mine, "client_secret", "x"), "what was read": made.body,
	} {
		if diff := cmp.Diff(refusal{400, "invalid_request"}, w.manage(http.MethodPut, at, token, metadata).refusal()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	put := w.manage(http.MethodPut, at, token, with(mine, "client_name", "renamed"))
	if put.text("client_name") != "renamed" || put.text("client_secret") == secret || put.text("registration_access_token") == token {
		t.Errorf("the update: %+v", put)
	}
	if got := w.manage(http.MethodGet, at, token, nil).refusal(); got != (refusal{401, "invalid_token"}) {
		t.Errorf("with the old token: %+v", got)
	}
	token = put.text("registration_access_token")
	if got := w.manage(http.MethodDelete, at, token, nil); got.status != http.StatusNoContent || len(w.Registered()) != 0 {
		t.Errorf("deleting: %+v; left: %q", got, w.Registered())
	}
	if got := w.manage(http.MethodGet, at, token, nil).refusal(); got != (refusal{401, "invalid_token"}) {
		t.Errorf("what is gone: %+v", got)
	}
	o.NoManagement = true
	bare := start(t, o).register(introspects())
	if bare.body["registration_client_uri"] != nil || bare.body["registration_access_token"] != nil {
		t.Errorf("management is off, and yet: %+v", bare)
	}
}

// TestPoorManagement: what servers leave out of RFC 7592, each by its option.
func TestPoorManagement(t *testing.T) {
	o := options()
	o.HideSecret, o.Untold, o.Fixed = true, []string{"grant_types"}, []string{"client_name"}
	w := start(t, o)
	made := w.register(introspects())
	at, token := made.text("registration_client_uri"), made.text("registration_access_token")
	mine := with(with(introspects(), "client_id", made.text("client_id")), "client_name", "renamed")
	put, read := w.manage(http.MethodPut, at, token, mine), w.manage(http.MethodGet, at, token, nil)
	if made.text("client_secret") == "" || put.text("client_secret") == "" || read.body["client_secret"] != nil {
		t.Errorf("only reads hide the secret: %+v, %+v, %+v", made, put, read)
	}
	if made.body["grant_types"] != nil || put.body["grant_types"] != nil || read.body["grant_types"] == nil {
		t.Errorf("only reads tell the grants: %+v, %+v, %+v", made, put, read)
	}
	if put.status != http.StatusOK || read.text("client_name") != made.text("client_name") {
		t.Errorf("the name is fixed: %+v", read)
	}

	o = options()
	o.ReadOnly, o.TakesAnything = true, true
	w = start(t, o)
	made = w.register(map[string]any{"client_name": []string{}})
	for method, want := range map[string]int{http.MethodGet: http.StatusOK, http.MethodPut: http.StatusNotFound, http.MethodDelete: http.StatusNotFound} {
		if got := w.status(method, made.text("registration_client_uri"), made.text("registration_access_token")); got != want {
			t.Errorf("%s: %d, want %d", method, got, want)
		}
	}
}

func TestFault(t *testing.T) {
	w := start(t, options())
	w.Inject(fault.Fault{Match: fault.Matching(http.MethodPost, "/register"), Undone: true, Status: http.StatusBadGateway, Body: "{}", Times: 1})
	if got := w.manage(http.MethodPost, w.URL()+"/register", "initial", introspects()); got.status != http.StatusBadGateway || len(w.Registered()) != 0 {
		t.Errorf("%+v; registered: %q", got, w.Registered())
	}
	w.register(introspects())
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certFile, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, oauth.Options{CertFile: certFile, KeyFile: keyFile})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	if got := w.do(http.MethodGet, w.URL()+"/.well-known/oauth-authorization-server", "", "", nil); !strings.HasPrefix(got.text("issuer"), "https://127.0.0.1:") {
		t.Errorf("%+v", got)
	}
	if err := oauth.New(oauth.Options{CertFile: certFile}).Start(); err == nil {
		t.Error("it starts without its key")
	}
}
