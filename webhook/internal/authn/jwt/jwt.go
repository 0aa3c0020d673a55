// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jwt verifies signed access tokens of one issuer (RFC 7519, RFC 9068) with the
// keys that it publishes (RFC 7517), and the ServiceAccount tokens of a cluster.
//
// A token that is no good is *Refused; keys that can't be had are *Unavailable: whether
// the token is good, nobody could tell.
package jwt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	defaultType         = "at+jwt"
	defaultMaxAge       = time.Hour
	defaultRefreshAfter = 10 * time.Minute
	defaultLimit        = 5 * time.Second
	// introspectionType are a server's signed answers (RFC 9701): they have its key and its
	// issuer, and say what a token is without being one.
	introspectionType = "token-introspection+jwt"
)

// KeysFunc fetches a JWKS document (RFC 7517 section 5). It is bounded by ctx.
type KeysFunc func(ctx context.Context) ([]byte, error)

// Options of New.
type Options struct {
	// Issuer is what `iss` must be, byte for byte.
	Issuer string
	// Keys fetches the issuer's JWKS.
	Keys KeysFunc
	// Algorithms that tokens may be signed with (RFC 7518 section 3.1, RFC 8037); default
	// all asymmetric ones. HS and none are an error.
	Algorithms []string
	// Types that the header's `typ` may name, compared without case and without
	// application/; default at+jwt. A token without typ is taken if "" or JWT is listed.
	Types []string
	// MaxAge is how old keys may be that serve; default 1h.
	MaxAge time.Duration
	// RefreshAfter is how old keys are when they are fetched again in the background, at
	// use; default 10m.
	RefreshAfter time.Duration
	// Limit of one fetch; default 5s.
	Limit time.Duration
	// Clock is the time, with its monotonic reading.
	Clock func() time.Time
}

// Verifier verifies tokens of one issuer. It is safe for concurrent use.
type Verifier struct {
	issuer     string
	algorithms []string
	types      []string
	clock      func() time.Time
	keys       *keyring
}

// New is a verifier without keys yet, or says what is wrong with the options.
func New(opts Options) (*Verifier, error) {
	switch {
	case opts.Issuer == "":
		return nil, errors.New("verifying tokens: there is no issuer")
	case opts.Keys == nil:
		return nil, errors.New("verifying tokens: there is no way to fetch keys")
	case opts.Clock == nil:
		return nil, errors.New("verifying tokens: there is no clock")
	}
	for _, alg := range opts.Algorithms {
		if !slices.Contains(algorithms(), alg) {
			return nil, fmt.Errorf("verifying tokens: algorithm %q is not an asymmetric signature that is known", alg)
		}
	}
	v := &Verifier{issuer: opts.Issuer, algorithms: slices.Clone(opts.Algorithms), clock: opts.Clock, keys: &keyring{
		issuer: opts.Issuer, source: opts.Keys, clock: opts.Clock,
		maxAge:       positive(opts.MaxAge, defaultMaxAge),
		refreshAfter: positive(opts.RefreshAfter, defaultRefreshAfter),
		limit:        positive(opts.Limit, defaultLimit),
	}}
	if len(v.algorithms) == 0 {
		v.algorithms = algorithms()
	}
	for _, typ := range opts.Types {
		v.types = append(v.types, bareType(typ))
	}
	if len(v.types) == 0 {
		v.types = []string{defaultType}
	}
	if slices.Contains(v.types, introspectionType) {
		return nil, fmt.Errorf("verifying tokens: type %s is not an access token (RFC 9701)", introspectionType)
	}
	return v, nil
}

// Verify judges signature, algorithm, type, issuer and expiry, and nothing else. The
// facts are those of the token's claims. The error is *Refused or *Unavailable.
func (v *Verifier) Verify(ctx context.Context, t token.Token) (*token.Facts, error) {
	s, err := parse(t)
	if err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(v.algorithms, s.alg):
		return nil, refuse(token.ReasonInvalidSignature, "The token is signed by an algorithm that is not accepted.")
	case !v.takes(s.typ):
		return nil, refuse(token.ReasonInvalidTokenType, "A JWT of this type is not accepted as an access token.")
	}
	if err := v.verifySignature(ctx, s); err != nil {
		return nil, err
	}
	claims, err := token.Members(s.payload)
	if err != nil {
		return nil, refuse(token.ReasonMalformedToken, "The token's claims are not one well-formed JSON object.")
	}
	facts, err := token.NewFacts(claims)
	if err != nil {
		return nil, refuse(token.ReasonMalformedToken, "The token has a claim of a form that no standard gives it: "+err.Error()+".")
	}
	switch {
	case facts.Issuer != v.issuer:
		return nil, refuse(token.ReasonInvalidIssuer, "The token is of another issuer.")
	case facts.ExpiresAt.IsZero():
		return nil, refuse(token.ReasonMalformedToken, "The token has no exp: it would be good for ever.")
	case !v.clock().Before(facts.ExpiresAt):
		return nil, refuse(token.ReasonExpired, "The token has expired.")
	}
	return facts, nil
}

// Warm fetches keys if there are none yet. The error is *Unavailable.
func (v *Verifier) Warm(ctx context.Context) error {
	set, err := v.keys.current(ctx)
	if err == nil && len(set.keys) == 0 {
		return v.keys.unavailable(errNoKeys)
	}
	return err
}

// KeysAge is how long ago the keys were asked for; false if there are none.
func (v *Verifier) KeysAge() (time.Duration, bool) {
	set := v.keys.set.Load()
	if set == nil {
		return 0, false
	}
	return set.age(v.clock()), true
}

// takes says whether a header's typ is one that was listed.
func (v *Verifier) takes(typ string) bool {
	if typ == "" {
		return slices.Contains(v.types, "") || slices.Contains(v.types, "jwt")
	}
	typ = bareType(typ)
	return typ != "" && slices.Contains(v.types, typ)
}

// verifySignature tries the keys that the token names. One that is not known may be new:
// the server is asked for its keys again, as often as the keyring allows.
func (v *Verifier) verifySignature(ctx context.Context, s *signed) error {
	set, err := v.keys.current(ctx)
	for err == nil {
		keys := set.find(s.kid, s.alg)
		if s.by(keys) {
			return nil
		}
		if s.kid != "" && len(keys) > 0 {
			return refuse(token.ReasonInvalidSignature, "The token's signature is wrong.")
		}
		var newer *keySet
		newer, err = v.keys.newer(ctx, set)
		switch {
		case newer == set && len(set.keys) == 0:
			return v.keys.unavailable(errNoKeys) // a server without keys says nothing about a token
		case newer == set:
			return refuse(token.ReasonInvalidSignature, "The token is signed by a key that its issuer does not publish.")
		}
		set = newer
	}
	return err
}

// algorithms are the asymmetric signatures: what a server signs with, nobody else can.
func algorithms() []string {
	return []string{
		string(jose.RS256), string(jose.RS384), string(jose.RS512),
		string(jose.PS256), string(jose.PS384), string(jose.PS512),
		string(jose.ES256), string(jose.ES384), string(jose.ES512),
		string(jose.EdDSA),
	}
}

// bareType is a media type without its case and application/ (RFC 7515 section 4.1.9).
func bareType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

func positive(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
