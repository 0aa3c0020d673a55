// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// tokenType is what a token is. The zero value is what nobody accepts.
type tokenType uint8

const (
	unknownType tokenType = iota
	accessToken
	idToken
	refreshToken
	tokenTypes
)

// typeSet are the types that a policy accepts; unknownType never is.
type typeSet [tokenTypes]bool

// String names them as the object does.
func (s typeSet) String() string {
	var names []string
	for t, name := range [tokenTypes]string{accessToken: "AccessToken", idToken: "IDToken", refreshToken: "RefreshToken"} {
		if s[t] {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// typeOf believes whichever of `token_type` and `typ` says more than "a token": where
// one says access token and the other something else, it is something else. A JWT of
// another kind (logout+jwt, token-introspection+jwt: RFC 9701) is none of the three.
func typeOf(f *token.Facts) tokenType {
	byTokenType, byType := ofTokenType(f.TokenType), ofType(f.Type)
	switch {
	case byTokenType == byType || byType == accessToken && byTokenType != unknownType:
		return byTokenType
	case byTokenType == accessToken:
		return byType
	}
	return unknownType
}

// ofTokenType reads `token_type`: Bearer (RFC 6750), DPoP (RFC 9449), and the words that
// servers use instead.
func ofTokenType(s string) tokenType {
	switch {
	case s == "", strings.EqualFold(s, "Bearer"), strings.EqualFold(s, "DPoP"), strings.EqualFold(s, "access_token"):
		return accessToken
	case strings.EqualFold(s, "id_token"):
		return idToken
	case strings.EqualFold(s, "refresh_token"):
		return refreshToken
	}
	return unknownType
}

// ofType reads `typ`: Keycloak's own (Bearer, ID, Refresh, Offline) or a media type.
func ofType(s string) tokenType {
	switch {
	case s == "", strings.EqualFold(s, "Bearer"), strings.EqualFold(s, "DPoP"), strings.EqualFold(s, "JWT"),
		strings.EqualFold(s, "at+jwt"), strings.EqualFold(s, "application/at+jwt"):
		return accessToken
	case strings.EqualFold(s, "ID"):
		return idToken
	case strings.EqualFold(s, "Refresh"), strings.EqualFold(s, "Offline"):
		return refreshToken
	}
	return unknownType
}
