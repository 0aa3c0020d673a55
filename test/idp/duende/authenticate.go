// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// maxCredential is how long an id or a shared secret may be: a longer one is refused.
const maxCredential = 100

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// credentials are those of a request: a shared secret or an assertion.
type credentials struct {
	id, secret, assertion string
}

// parse finds a request's credentials: Basic first, then the form.
func parse(r *http.Request) (c credentials, ok bool) {
	form := r.PostForm
	switch basic, isBasic := strings.CutPrefix(r.Header.Get("Authorization"), "Basic "); {
	case isBasic:
		c, ok = parseBasic(basic)
	case form.Get("client_secret") != "":
		c, ok = credentials{id: form.Get("client_id"), secret: form.Get("client_secret")}, true
	case form.Get("client_assertion_type") == assertionType:
		c, ok = parseAssertion(form.Get("client_assertion"))
	}
	return c, ok && c.id != "" && len(c.id) <= maxCredential && len(c.secret) <= maxCredential
}

// parseBasic takes both parts form-encoded (RFC 6749 section 2.3.1).
func parseBasic(basic string) (c credentials, ok bool) {
	pair, err := base64.StdEncoding.DecodeString(basic)
	if err != nil {
		return c, false
	}
	id, secret, found := strings.Cut(string(pair), ":")
	if !found {
		return c, false
	}
	var idErr, secretErr error
	c.id, idErr = url.QueryUnescape(id)
	c.secret, secretErr = url.QueryUnescape(secret)
	return c, idErr == nil && secretErr == nil && c.secret != ""
}

func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512,
	}
}

// parseAssertion only reads who claims to ask.
func parseAssertion(assertion string) (c credentials, ok bool) {
	parsed, err := jwt.ParseSigned(assertion, algorithms())
	if err != nil {
		return c, false
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return c, false
	}
	return credentials{id: claims.Subject, assertion: assertion}, true
}

// accepts reports whether the credentials are among the secrets.
func (s *Server) accepts(r *http.Request, secrets []Secret, c credentials) bool {
	now := s.o.Now()
	living := slices.DeleteFunc(slices.Clone(secrets), func(x Secret) bool {
		return x.Expiration != nil && !now.Before(*x.Expiration)
	})
	if c.assertion != "" {
		return s.acceptsAssertion(r, living, c)
	}
	for _, secret := range living {
		if secret.Type != typeSharedSecret {
			continue
		}
		same, wellFormed := matches(secret.Value, c.secret)
		if !wellFormed {
			return false // one bad row breaks those after it
		}
		if same {
			return true
		}
	}
	return false
}

func matches(hash, secret string) (same, wellFormed bool) {
	want, err := base64.StdEncoding.DecodeString(hash)
	switch {
	case err != nil:
		return false, false
	case len(want) == sha256.Size:
		got := sha256.Sum256([]byte(secret))
		return string(got[:]) == string(want), true
	case len(want) == sha512.Size:
		got := sha512.Sum512([]byte(secret))
		return string(got[:]) == string(want), true
	}
	return false, false
}

// acceptsAssertion takes an assertion (RFC 7523 section 2.2) once: by a key of the secrets, for the
// issuer or the token endpoint. With typ client-authentication+jwt only the issuer will do.
func (s *Server) acceptsAssertion(r *http.Request, secrets []Secret, c credentials) bool {
	parsed, err := jwt.ParseSigned(c.assertion, algorithms())
	if err != nil {
		return false
	}
	var claims struct {
		jwt.Claims

		RawAudience json.RawMessage `json:"aud"`
	}
	if !verified(parsed, secrets, &claims) {
		return false
	}
	if err := json.Unmarshal(claims.RawAudience, &claims.Audience); err != nil {
		return false
	}
	now := s.o.Now()
	meant := slices.Contains(claims.Audience, s.issuer(r)) || slices.Contains(claims.Audience, s.base(r)+pathToken)
	if typ, _ := parsed.Headers[0].ExtraHeaders[jose.HeaderType].(string); strings.EqualFold(typ, "client-authentication+jwt") {
		meant = string(claims.RawAudience) == quoted(s.issuer(r))
	}
	switch _, again := s.replayed[claims.ID]; {
	case claims.Issuer != c.id || claims.Subject != c.id, !meant, claims.ID == "", again:
		return false
	case claims.Expiry == nil || !now.Before(claims.Expiry.Time()):
		return false
	case claims.NotBefore != nil && now.Add(skew).Before(claims.NotBefore.Time()):
		return false
	}
	s.replayed[claims.ID] = claims.Expiry.Time().Add(5 * time.Minute)
	return true
}

func verified(parsed *jwt.JSONWebToken, secrets []Secret, claims any) bool {
	for _, secret := range secrets {
		var key jose.JSONWebKey
		if secret.Type != typeJWK || json.Unmarshal([]byte(secret.Value), &key) != nil {
			continue
		}
		if parsed.Claims(key.Key, claims) == nil {
			return true
		}
	}
	return false
}

func quoted(text string) string {
	encoded, _ := json.Marshal(text) //nolint:errchkjson // a string always can
	return string(encoded)
}
