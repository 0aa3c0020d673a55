// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// assertionLife is long enough for a slow call, and of little use to a thief.
	assertionLife = time.Minute
	// maxKeyPEM bounds the work of parsing a key.
	maxKeyPEM = 16 << 10
	maxKeyID  = 255
)

// Key is a client's private key. It never prints. It is safe for concurrent use.
type Key struct {
	id string
	// public is the public key (SubjectPublicKeyInfo).
	public []byte
	signer jose.Signer
}

// ParseKey reads an EC key on P-256, in PKCS#8 or SEC 1 and PEM. The id is the `kid` that the
// server knows it by: 1 to 255 visible ASCII characters. Errors hold nothing of either.
func ParseKey(pemKey []byte, id string) (*Key, error) {
	if id == "" || len(id) > maxKeyID || strings.ContainsFunc(id, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return nil, fmt.Errorf("the key id is not 1 to %d visible ASCII characters", maxKeyID)
	}
	private, err := parsePrivate(pemKey)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, errNoKey
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: id}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, errNoKey
	}
	return &Key{id: id, public: public, signer: signer}, nil
}

var (
	errNoKey      = errors.New("the private key's PEM holds no PKCS#8 or SEC 1 key")
	errWrongKey   = errors.New("the private key is no EC key on the curve P-256")
	errEncrypted  = errors.New("the private key is encrypted: give it without a password")
	errNoKeyPEM   = errors.New("the private key is not PEM")
	errLargeKey   = fmt.Errorf("the private key's PEM is larger than %d KiB", maxKeyPEM>>10)
	errNoSubject  = errors.New("signing an assertion: there is no client id or no audience")
	errNotSigned  = errors.New("signing an assertion: the key does not sign")
	errNotPrivate = errors.New("the PEM holds something else than a private key")
)

func parsePrivate(pemKey []byte) (*ecdsa.PrivateKey, error) {
	if len(pemKey) > maxKeyPEM {
		return nil, errLargeKey
	}
	block, rest := pem.Decode(pemKey)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes it before the key
		block, _ = pem.Decode(rest)
	}
	if block == nil {
		return nil, errNoKeyPEM
	}
	var (
		parsed any
		err    error
	)
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, errEncrypted
	case block.Type == "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		return nil, errWrongKey
	default:
		return nil, errNotPrivate
	}
	if err != nil {
		return nil, errNoKey // and not its words, which may quote what stands there
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errWrongKey
	}
	return private, nil
}

// Assertion is a JWT that proves the client to a server, once (RFC 7523 section 3): iss and sub
// are the client id, aud the server's issuer. The typ is JWT, which all servers take: the newer
// client-authentication+jwt makes some of them stricter, and some don't know it.
func (k Key) Assertion(clientID, audience string, now time.Time) (Secret, error) {
	if clientID == "" || audience == "" {
		return "", errNoSubject
	}
	payload, err := json.Marshal(struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		Audience  string `json:"aud"` // no list: Keycloak takes one audience only
		ID        string `json:"jti"`
		IssuedAt  int64  `json:"iat"`
		NotBefore int64  `json:"nbf"`
		ExpiresAt int64  `json:"exp"`
	}{clientID, clientID, audience, rand.Text(), now.Unix(), now.Unix(), now.Add(assertionLife).Unix()})
	if err != nil {
		return "", errNotSigned
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return "", errNotSigned
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		return "", errNotSigned
	}
	return Secret(compact), nil
}

// String hides the key.
func (Key) String() string { return redacted }

// Format hides the key from every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the key from structured logs.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the key from JSON.
func (Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
