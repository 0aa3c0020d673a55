// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// maxProof is the length, in bytes, above which a proof is refused unread.
	maxProof = 8 << 10
	// minRSA is RFC 7518 section 3.3; maxRSA bounds what a key that the client chose costs.
	minRSA, maxRSA = 2048, 4096

	twoProofs   = "There are two DPoP proofs: send one."
	notAJWT     = "The DPoP proof is not a JWT."
	noPublicKey = "The DPoP proof has no public key that is taken: jwk is to be the public part of an EC, OKP (Ed25519) or RSA key."
	otherAlg    = "The DPoP proof's alg is not taken: use ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384 or RS512."
)

// algorithms are those that proofs may be signed with: asymmetric ones (RFC 9449 section
// 4.3), so that a verifier can't make proofs.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
		jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.RS384, jose.RS512,
	}
}

// proof is a DPoP proof that was read, and not verified.
type proof struct {
	raw    string
	claims map[string]json.RawMessage
}

// read opens a proof, or says in words what is wrong with its form.
func read(raw string) (p *proof, wrong string) {
	switch {
	case len(raw) > maxProof:
		return nil, "The DPoP proof is longer than 8192 bytes."
	case strings.IndexByte(raw, ',') >= 0: // Envoy joins two headers
		return nil, twoProofs
	case !isCompact(raw):
		return nil, notAJWT
	}
	_, rest, _ := strings.Cut(raw, ".")
	body, _, _ := strings.Cut(rest, ".")
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return nil, notAJWT
	}
	claims, err := token.Members(decoded)
	if err != nil {
		return nil, notAJWT
	}
	return &proof{raw: raw, claims: claims}, ""
}

// isCompact says whether it is three parts of base64url (RFC 7515 section 7.1). Dots are
// counted before anything is split (CVE-2025-27144), and Go's base64 skips line breaks.
func isCompact(raw string) bool {
	dots := 0
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '.':
			dots++
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return dots == 2
}

// text is a member that is a string; empty if it is none.
func text(m map[string]json.RawMessage, name string) string {
	var s *string
	if json.Unmarshal(m[name], &s) != nil || s == nil {
		return ""
	}
	return *s
}

// signed is the signature that is to be verified, and the thumbprint of the key (RFC 7638,
// SHA-256).
type signed struct {
	jws        *jose.JSONWebSignature
	thumbprint [sha256.Size]byte
}

// signature reads the JOSE header, which the library takes with each name once and without
// a private key only. `typ` is compared without case, as media types are (RFC 7515 section
// 4.1.9). A key is taken from `jwk` and from nowhere else: `kid`, `jku` and `x5c` name none.
func (p *proof) signature() (s signed, wrong string) {
	jws, err := jose.ParseSignedCompact(p.raw, algorithms())
	if _, other := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); other {
		return signed{}, otherAlg
	}
	if err != nil || len(jws.Signatures) != 1 {
		return signed{}, noPublicKey
	}
	header := jws.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(typ, "dpop+jwt") {
		return signed{}, "The JWT in the DPoP header is no proof: its typ is not dpop+jwt."
	}
	for _, name := range []jose.HeaderKey{"crit", "b64"} { // we understand no extension (RFC 7515 section 4.1.11)
		if _, there := header.ExtraHeaders[name]; there {
			return signed{}, "The DPoP proof has an extension in its header (" + string(name) + ") that is not understood."
		}
	}
	if header.JSONWebKey == nil {
		return signed{}, noPublicKey
	}
	if public, ok := header.JSONWebKey.Key.(*rsa.PublicKey); ok {
		if bits := public.N.BitLen(); bits < minRSA || bits > maxRSA {
			return signed{}, "The DPoP proof's RSA key is not of 2048 to 4096 bits."
		}
	}
	input, err := header.JSONWebKey.Thumbprint(hashOfThumbprint)
	if err != nil {
		return signed{}, noPublicKey
	}
	return signed{jws: jws, thumbprint: [sha256.Size]byte(input)}, ""
}

// verify checks the signature, with the key that the proof brings.
func (s signed) verify() bool {
	_, err := s.jws.Verify(s.jws.Signatures[0].Protected.JSONWebKey.Key)
	return err == nil
}
