// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// signed is a JWS in compact serialization (RFC 7515 section 7.1) that nobody verified yet.
type signed struct {
	raw           string
	alg, typ, kid string
	payload       []byte
}

// parse takes three segments only, and only then lets anybody allocate: thousands of dots
// cost nothing (CVE-2025-27144). Members of the header that name a key (jwk, jku, x5c, x5u)
// are the sender's word and are not asked.
func parse(t token.Token) (*signed, error) {
	raw := t.Reveal()
	header, rest, _ := strings.Cut(raw, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if len(raw) > token.MaxLength || !ok || header == "" || payload == "" || strings.IndexByte(signature, '.') >= 0 {
		return nil, refuse(token.ReasonMalformedToken, "The token is not a signed JWT of three segments.")
	}
	// Go's decoder skips line breaks: one token would have many spellings.
	if strings.ContainsAny(raw, "\r\n") {
		return nil, refuse(token.ReasonMalformedToken, "The token is not base64url.")
	}
	strict := base64.RawURLEncoding.Strict()
	decoded, err := strict.DecodeString(header)
	if err != nil {
		return nil, refuse(token.ReasonMalformedToken, "The token's header is not base64url.")
	}
	s := &signed{raw: raw}
	if s.payload, err = strict.DecodeString(payload); err != nil {
		return nil, refuse(token.ReasonMalformedToken, "The token's claims are not base64url.")
	}
	if _, err := strict.DecodeString(signature); err != nil {
		return nil, refuse(token.ReasonMalformedToken, "The token's signature is not base64url.")
	}
	return s, s.readHeader(decoded)
}

// readHeader refuses what changes the meaning of the rest: critical extensions, of which
// none is known here (RFC 7515 section 4.1.11), another payload (RFC 7797), a token inside
// the token (RFC 7519 section 5.2).
func (s *signed) readHeader(decoded []byte) error {
	members, err := token.Members(decoded)
	if err != nil {
		return refuse(token.ReasonMalformedToken, "The token's header is not one well-formed JSON object.")
	}
	for _, name := range []string{"crit", "b64"} {
		if _, there := members[name]; there {
			return refuse(token.ReasonMalformedToken, "The token's header has "+name+", an extension that is not supported.")
		}
	}
	var cty string
	for name, to := range map[string]*string{"alg": &s.alg, "typ": &s.typ, "kid": &s.kid, "cty": &cty} {
		if raw, there := members[name]; there && json.Unmarshal(raw, to) != nil {
			return refuse(token.ReasonMalformedToken, "The token's header has a "+name+" that is no string.")
		}
	}
	if bareType(cty) == "jwt" {
		return refuse(token.ReasonMalformedToken, "The token holds another token.")
	}
	return nil
}

// by says whether one of the keys made the signature. What is verified are the bytes that
// the claims are read from.
func (s *signed) by(keys []any) bool {
	if len(keys) == 0 {
		return false // and nothing of a stranger's header is parsed
	}
	jws, err := jose.ParseSignedCompact(s.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.alg)})
	if err != nil {
		return false
	}
	for _, key := range keys {
		if jws.DetachedVerify(s.payload, key) == nil {
			return true
		}
	}
	return false
}
