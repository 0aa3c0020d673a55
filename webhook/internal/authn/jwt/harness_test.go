// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const issuer = "https://sso.example.com/realms/acme"

type object = map[string]any

// with is base with other members; a nil one is left out.
func with(base, other object) object {
	out := maps.Clone(base)
	for name, value := range other {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

func encode(tb testing.TB, v any) string {
	tb.Helper()
	return rawSegment(encodeJSON(tb, v))
}

// sign makes a JWS by hand: no library writes the headers that an attacker does. A key of
// bytes is an HMAC secret, nil signs nothing.
func sign(tb testing.TB, header, claims object, key any) string {
	tb.Helper()
	input := encode(tb, header) + "." + encode(tb, claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature(tb, input, key))
}

func signature(tb testing.TB, input string, key any) []byte {
	tb.Helper()
	digest := sha256.Sum256([]byte(input))
	var (
		out []byte
		err error
	)
	switch key := key.(type) {
	case *rsa.PrivateKey:
		out, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, key, digest[:])
		if err = signErr; err == nil {
			size := (key.Curve.Params().BitSize + 7) / 8
			out = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	case ed25519.PrivateKey:
		out = ed25519.Sign(key, []byte(input))
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		out = mac.Sum(nil)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func ecKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// jwk is a public key as a JWKS has it, with other members.
func jwk(tb testing.TB, public any, kid string, other object) object {
	tb.Helper()
	b, err := jose.JSONWebKey{Key: public, KeyID: kid}.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	var out object
	if err := json.Unmarshal(b, &out); err != nil {
		tb.Fatal(err)
	}
	return with(out, other)
}

// server publishes keys.
type server struct {
	mu    sync.Mutex
	keys  []object
	err   error
	takes time.Duration
	asked int
}

func (s *server) publish(keys ...object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.err = keys, nil
}

func (s *server) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errDown
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

var errDown = errors.New("connection refused")

// fetch answers what is published when it is asked.
func (s *server) fetch(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	s.asked++
	err, takes := s.err, s.takes
	document, jsonErr := json.Marshal(object{"keys": append([]object{}, s.keys...)})
	s.mu.Unlock()
	if takes > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(takes):
		}
	}
	return document, errors.Join(err, jsonErr)
}

func open(tb testing.TB, s *server, change func(*jwt.Options)) *jwt.Verifier {
	tb.Helper()
	opts := jwt.Options{Issuer: issuer, Keys: s.fetch, Clock: time.Now}
	if change != nil {
		change(&opts)
	}
	v, err := jwt.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// outcome of a verification: ok, the reason of a refusal, or unavailable.
func outcome(tb testing.TB, err error) string {
	tb.Helper()
	if err == nil {
		return "ok"
	}
	if refused, ok := errors.AsType[*jwt.Refused](err); ok {
		return string(refused.Reason)
	}
	if _, ok := errors.AsType[*jwt.Unavailable](err); ok {
		return unavailable
	}
	tb.Fatalf("an error of another kind: %v", err)
	return ""
}

const unavailable = "unavailable"

func verify(tb testing.TB, v *jwt.Verifier, raw string) string {
	tb.Helper()
	facts, err := v.Verify(tb.Context(), token.New(raw))
	if (err == nil) != (facts != nil) {
		tb.Fatalf("facts %v and error %v", facts, err)
	}
	return outcome(tb, err)
}

func header(kid string) object { return object{"alg": "ES256", "typ": "at+jwt", "kid": kid} }

func claims() object {
	return object{"iss": issuer, "sub": "alice", "aud": "orders", "exp": time.Now().Add(time.Minute).Unix()}
}

func rawSegment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func encodeJSON(tb testing.TB, v any) string {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}
