// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// keys are those that a server publishes (RFC 7517).
type keys struct {
	mu     sync.Mutex
	set    []map[string]any
	status int
	asked  int
}

// publish replaces them.
func (k *keys) publish(signers ...*signer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set, k.status = nil, 0
	for _, s := range signers {
		k.set = append(k.set, s.jwk())
	}
}

// fail answers no keys any more.
func (k *keys) fail(status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status = status
}

func (k *keys) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

// document is the JWKS, and the status of the answer.
func (k *keys) document() (status int, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	body, err := json.Marshal(map[string]any{"keys": k.set})
	if err != nil {
		panic(err)
	}
	if k.status != 0 {
		return k.status, nil
	}
	return http.StatusOK, body
}

// ServeHTTP answers the JWKS.
func (k *keys) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	status, body := k.document()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// signer has a key of a server.
type signer struct {
	kid string
	key *ecdsa.PrivateKey
}

func newSigner(tb testing.TB, kid string) *signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &signer{kid: kid, key: key}
}

// coordinates are those of the public key, base64url.
func (s *signer) coordinates() (x, y string) {
	point, err := s.key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return segment(point[1:33]), segment(point[33:])
}

func (s *signer) jwk() map[string]any {
	x, y := s.coordinates()
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": s.kid, "alg": "ES256", "use": "sig", "x": x, "y": y}
}

// sign makes an access token (RFC 9068) of claims.
func (s *signer) sign(tb testing.TB, claims map[string]any) token.Token {
	tb.Helper()
	return token.New(s.jws(tb, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": s.kid}, claims))
}

// jws is a JWS in compact serialization (RFC 7515 section 7.1).
func (s *signer) jws(tb testing.TB, header, claims map[string]any) string {
	tb.Helper()
	input := segment(marshal(tb, header)) + "." + segment(marshal(tb, claims))
	digest := sha256.Sum256([]byte(input))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + segment(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
}

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func segment(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// signed are the claims of a good token.
func signed() map[string]any {
	return map[string]any{
		"iss": issuer, "sub": "alice", "aud": "shop.orders", "scope": "orders.read", "client_id": "web", "jti": "1",
		"iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(24 * time.Hour).Unix(),
	}
}

// keyed is the state of a server that publishes keys.
func (s *idp) keyed(uid string, signers ...*signer) ServerState {
	state := s.state(uid)
	state.JWKSURI = s.URL + "/keys"
	s.keys.publish(signers...)
	return state
}
