// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"crypto"
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// proof looks at the DPoP proof of a token request (RFC 9449 section 4.3) and returns the
// thumbprint of its key; empty if there is none.
func (s *Server) proof(r *http.Request) (jkt string, err error) {
	proof := r.Header.Get("DPoP")
	if proof == "" {
		return "", nil
	}
	parsed, err := jwt.ParseSigned(proof, algorithms())
	if err != nil || len(parsed.Headers) != 1 {
		return "", errors.New("Malformed DPoP token.") //nolint:revive,staticcheck // the server's words
	}
	key := parsed.Headers[0].JSONWebKey
	typ, _ := parsed.Headers[0].ExtraHeaders[jose.HeaderType].(string)
	if key == nil || !key.IsPublic() || typ != "dpop+jwt" {
		return "", errors.New("Invalid DPoP token.") //nolint:revive,staticcheck // the server's words
	}
	var claims struct {
		jwt.Claims

		Method string `json:"htm"`
		URL    string `json:"htu"`
	}
	if err := parsed.Claims(key.Key, &claims); err != nil {
		return "", errors.New("Invalid signature on DPoP token.") //nolint:revive,staticcheck // the server's words
	}
	if claims.Method != r.Method || claims.URL != s.base(r)+pathToken || claims.ID == "" || claims.IssuedAt == nil {
		return "", errors.New("Invalid DPoP token.") //nolint:revive,staticcheck // the server's words
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", errors.New("Invalid 'jwk' value.") //nolint:revive,staticcheck // the server's words
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
