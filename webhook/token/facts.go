// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Facts are what an authorization server said about a token, normalised. What it
// did not say is zero: unknown, not empty. They are shared: nobody changes them.
type Facts struct {
	// Active is true only for the boolean true.
	Active bool
	// Issuer, Subject, Username and ID are `iss`, `sub`, `username` and `jti`.
	Issuer, Subject, Username, ID string
	// ClientID is `client_id`, else `azp`.
	ClientID string
	// TokenType is `token_type` as the server said it (Bearer, DPoP, access_token), may be empty.
	TokenType string
	// Type is `typ` as the server said it (Bearer, ID, Refresh, Offline, at+jwt), may be empty.
	Type string
	// ACR is `acr`, the authentication context class.
	ACR string
	// Audience is `aud`; a single string is a list of one.
	Audience []string
	// Scope is `scope` split at spaces, or a list, or `scp`.
	Scope []string
	// ExpiresAt, IssuedAt, NotBefore and AuthTime are `exp`, `iat`, `nbf` and `auth_time`; zero if absent.
	ExpiresAt, IssuedAt, NotBefore, AuthTime time.Time
	// Bound says that there is a `cnf` (RFC 7800), or that the server calls the token a DPoP
	// token: whoever sends it has to prove possession of a key.
	Bound bool
	// JKT is `cnf.jkt`: the SHA-256 thumbprint of a key, base64url (RFC 9449 section 6).
	JKT string
	// X5T is `cnf.x5t#S256`: the SHA-256 of a certificate, base64url (RFC 8705 section 3.1).
	X5T string
	// Opaque says that the token is no JWT. It is seen, not said.
	Opaque bool
	// Claims are all members as the server sent them; of an opaque token always with `iss`.
	Claims map[string]json.RawMessage
	// Size is about how many bytes the facts occupy.
	Size int

	once   sync.Once
	values map[string]any
}

// NewFacts normalises the claims of an active token: the members of a server's answer, or
// of a verified JWT. A member that a judgement rests on and that has a form which no
// standard gives it is an error: guessing would be a verdict of ours. Messages hold no
// value: it may be a claim.
func NewFacts(claims map[string]json.RawMessage) (*Facts, error) {
	a := answer{members: claims}
	f := &Facts{
		Active:    true,
		Issuer:    a.text("iss"),
		ClientID:  a.text("client_id"),
		TokenType: a.text("token_type"),
		Type:      a.text("typ"),
		ACR:       a.textOrUnknown("acr"),
		Subject:   a.textOrUnknown("sub"),
		Username:  a.textOrUnknown("username"),
		ID:        a.textOrUnknown("jti"),
		Audience:  a.list("aud"),
		Scope:     a.scopes(),
		ExpiresAt: a.instant("exp"),
		IssuedAt:  a.instant("iat"),
		NotBefore: a.instant("nbf"),
		AuthTime:  a.instant("auth_time"),
		Claims:    claims,
	}
	if f.ClientID == "" {
		f.ClientID = a.text("azp")
	}
	if f.Issuer == "" && a.has("iss") {
		a.wrong("iss", "an issuer") // present, and equal to none
	}
	a.confirmation(f)
	if a.err != nil {
		return nil, a.err
	}
	f.Size = size(f)
	return f, nil
}

// Inactive are the facts of a token that the server calls inactive: nothing else.
func Inactive() *Facts { return &Facts{Size: factsSize} }

// AsOpaque are the facts of a token that is no JWT. RFC 7662 leaves `iss` to the server:
// where it says none, the token is of the server that was asked, and of no other.
func (f *Facts) AsOpaque(issuer string) (*Facts, error) {
	if !f.Active {
		return &Facts{Opaque: true, Size: f.Size}, nil
	}
	claims := f.Claims
	if f.Issuer == "" {
		encoded, err := json.Marshal(issuer)
		if err != nil {
			return nil, err
		}
		claims = make(map[string]json.RawMessage, len(f.Claims)+1)
		maps.Copy(claims, f.Claims)
		claims["iss"] = encoded
	}
	opaque, err := NewFacts(claims)
	if err != nil {
		return nil, err
	}
	opaque.Opaque = true
	return opaque, nil
}

// Values are the claims as CEL takes them: numbers without a fraction are int64 (uint64
// where they are too large), others float64. Made once; not to be changed.
func (f *Facts) Values() map[string]any {
	f.once.Do(func() {
		f.values = make(map[string]any, len(f.Claims))
		for name, raw := range f.Claims {
			if v, err := decode(raw); err == nil {
				f.values[name] = v
			}
		}
	})
	return f.values
}

// confirmation reads `cnf`. A confirmation that we can't check is none that anybody meets:
// the token is bound, to nothing known.
func (a *answer) confirmation(f *Facts) {
	f.Bound = a.has("cnf") || strings.EqualFold(f.TokenType, "DPoP") || strings.EqualFold(f.Type, "DPoP")
	if !a.has("cnf") {
		return
	}
	m, err := Members(a.members["cnf"])
	if err != nil {
		return
	}
	cnf := answer{members: m}
	jkt, x5t := cnf.text("jkt"), cnf.text("x5t#S256")
	if cnf.err == nil {
		f.JKT, f.X5T = jkt, x5t
	}
}

func decode(raw json.RawMessage) (any, error) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return numbered(v), nil
}

func numbered(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // no double: as it was written
		}
		return f
	case []any:
		for i := range v {
			v[i] = numbered(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbered(v[k])
		}
	}
	return v
}
