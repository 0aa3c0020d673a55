// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512 of the algorithms
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	testToken    = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"
	testResource = "https://orders.example.com"
	testURL      = "https://orders.example.com/orders/7"
)

var testNow = time.Unix(1_800_000_000, 0)

type object = map[string]any

// changed is the object, with changes; a nil value takes the member out.
func (c *client) changed(o, changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
			continue
		}
		o[name] = value
	}
	return o
}

// client makes proofs as RFC 9449 section 4.2 describes them, with none of our code.
type client struct {
	t   testing.TB
	key crypto.Signer
	alg string
}

func newClient(tb testing.TB, alg string) *client {
	tb.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return &client{t: tb, key: key, alg: alg}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (c *client) jwk() object {
	switch public := c.key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			c.t.Fatal(err)
		}
		half := len(point) / 2
		return object{"kty": "EC", "crv": public.Params().Name, "x": encode(point[1 : 1+half]), "y": encode(point[1+half:])}
	case ed25519.PublicKey:
		return object{"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
	case *rsa.PublicKey:
		return object{"kty": "RSA", "n": encode(public.N.Bytes()), "e": "AQAB"}
	}
	c.t.Fatal("no such key")
	return nil
}

// jkt is RFC 7638: the required members in the order of their names, which is Go's order of a map.
func (c *client) jkt() string {
	raw, err := json.Marshal(c.jwk())
	if err != nil {
		c.t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return encode(sum[:])
}

func (c *client) header() object {
	return object{"typ": "dpop+jwt", "alg": c.alg, "jwk": c.jwk()}
}

func (c *client) claims(id string) object {
	ath := sha256.Sum256([]byte(testToken))
	return object{"jti": id, "htm": "GET", "htu": testURL, "iat": testNow.Unix(), "ath": encode(ath[:])}
}

// proof is a good one.
func (c *client) proof(id string) string { return c.sign(c.header(), c.claims(id)) }

func (c *client) sign(header, claims object) string {
	c.t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := json.Marshal(claims)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.signRaw(h, p)
}

func (c *client) signRaw(header, claims []byte) string {
	c.t.Helper()
	input := encode(header) + "." + encode(claims)
	hash := crypto.SHA256
	switch {
	case strings.HasSuffix(c.alg, "384"):
		hash = crypto.SHA384
	case strings.HasSuffix(c.alg, "512"):
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write([]byte(input))
	digest := h.Sum(nil)
	var signature []byte
	var err error
	switch key := c.key.(type) {
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, key, digest)
		size := (key.Params().BitSize + 7) / 8
		signature, err = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), e
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	case *rsa.PrivateKey:
		if strings.HasPrefix(c.alg, "PS") {
			signature, err = rsa.SignPSS(rand.Reader, key, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, key, hash, digest)
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return input + "." + encode(signature)
}

// question is one that a good proof answers.
func (c *client) question(proofs ...string) *Question {
	return &Question{
		Token:    token.New(testToken),
		Scheme:   token.SchemeDPoP,
		Facts:    &token.Facts{Active: true, Bound: true, JKT: c.jkt()},
		HTTP:     &token.HTTPRequest{Method: "GET", Target: "/orders/7?fields=all", Proofs: proofs},
		Resource: testResource,
	}
}

// watch is a clock that is set by hand.
type watch struct {
	mu  sync.Mutex
	now time.Time
}

func (w *watch) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *watch) add(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWatch() *watch { return &watch{now: testNow} }

// outcomeOf is a Check in one word: ok, or a reason. A message that is not fit for a
// challenge (RFC 6750 section 3) fails the test.
func outcomeOf(tb testing.TB, v *Verifier, q *Question) string {
	tb.Helper()
	d, undecided := v.Check(q)
	switch {
	case undecided != nil:
		if d != nil {
			tb.Fatal("refused and undecided at once")
		}
		return string(undecided.Reason)
	case d == nil:
		return "ok"
	}
	if d.Verdict != token.Deny || d.Reason == token.ReasonNone {
		tb.Fatalf("a refusal that is none: %+v", d)
	}
	if d.Message == "" || len(d.Message) > 200 {
		tb.Fatalf("a message of %d bytes", len(d.Message))
	}
	for _, c := range []byte(d.Message) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			tb.Fatalf("the message %q is not fit for a challenge", d.Message)
		}
	}
	return string(d.Reason)
}
