// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// sent are the headers of the user's request, with the token as it is to be shown.
func (q *question) sent(t *testing.T) map[string][]string {
	t.Helper()
	h := maps.Clone(q.headers)
	if h == nil {
		h = map[string][]string{}
	}
	if _, there := h["Authorization"]; !there && q.token != "" {
		scheme := "Bearer "
		if q.dpop != nil {
			scheme = "DPoP "
			h["Dpop"] = []string{q.dpop.proof(t, q)}
		}
		h["Authorization"] = []string{scheme + q.token}
	}
	return h
}

// proof is RFC 9449 section 4.2, a new one each time.
func (s *signer) proof(t *testing.T, q *question) string {
	t.Helper()
	ath := sha256.Sum256([]byte(q.token))
	path, _, _ := strings.Cut(q.target, "?")
	return s.sign(t, object{"typ": "dpop+jwt", "alg": "ES256", "jwk": s.jwk(t)}, object{
		"jti": rand128(), "htm": http.MethodGet, "htu": resource + path, "iat": nowUnix(), "ath": encode(ath[:]),
	})
}

// askForwardAuth asks as the gateway of that kind does.
func askForwardAuth(ctx context.Context, t *testing.T, client *http.Client, g gatewayKind, q *question) (answer, error) {
	t.Helper()
	path := "/authorize/" + q.namespace + "/" + q.policy
	if g.kind == "EnvoyHTTP" {
		path += q.target
	}
	req := newRequest(ctx, t, http.MethodGet, "https://"+hostname, "")
	req.Body, req.ContentLength = http.NoBody, 0
	req.URL.Opaque = path // raw, as a gateway sends it
	maps.Copy(req.Header, q.sent(t))
	host := strings.TrimPrefix(resource, "https://")
	switch g.kind {
	case "Nginx":
		req.Header["X-Original-Url"], req.Header["X-Original-Method"] = []string{resource + q.target}, []string{http.MethodGet}
	case "Traefik", "Caddy":
		req.Header["X-Forwarded-Method"], req.Header["X-Forwarded-Proto"] = []string{http.MethodGet}, []string{"https"}
		req.Header["X-Forwarded-Host"], req.Header["X-Forwarded-Uri"] = []string{host}, []string{q.target}
	case "EnvoyHTTP":
		req.Host = host
	}
	if q.certificate != nil {
		req.Header[g.certificateHeader] = []string{g.tell(q.certificate)}
	}
	a, err := read(client, req)
	if err != nil {
		return a, err
	}
	challenge, identity := a.headers["Www-Authenticate"], 0
	for _, name := range configured() {
		identity += len(a.headers[name])
	}
	switch {
	case a.status == http.StatusOK && len(challenge) == 0 && identity > 0:
		a.verdict = allow
	case (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden) && len(challenge) == 1 && identity == 0:
		a.verdict = deny
	case a.status == http.StatusServiceUnavailable && len(challenge) == 0 && identity == 0:
		a.verdict = cannotTell
	}
	return a, nil
}

// tell is a certificate as a gateway tells it.
func (g gatewayKind) tell(c *tls.Certificate) string {
	der := c.Certificate[0]
	switch g.format {
	case "DER":
		return base64.StdEncoding.EncodeToString(der)
	case "RFC9440":
		return ":" + base64.StdEncoding.EncodeToString(der) + ":"
	case "XFCC":
		sum := sha256.Sum256(der)
		return "Hash=" + hex.EncodeToString(sum[:])
	}
	return url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}
