// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxDocument bounds a JWKS, in bytes.
	maxDocument = 1 << 20
	// maxKeys bounds the keys of a JWKS.
	maxKeys = 100
	// maxTried bounds the signatures that one token makes us compute.
	maxTried = 4
	// minRSABits is RFC 7518 section 3.3.
	minRSABits = 2048
)

// key is a public key that signatures are verified with.
type key struct {
	public any
	// id is its kid, and alg the only algorithm that it is for; empty if it does not say.
	id, alg string
}

// keySet are the keys that an issuer published. It is shared: nobody changes it.
type keySet struct {
	keys []key
	// askedAt is taken before they were asked for: they are at least as old.
	askedAt time.Time
}

// age is how old the keys are at most. The wall clock counts too: the monotonic one stands
// still while a machine sleeps.
func (s *keySet) age(now time.Time) time.Duration {
	return max(now.Sub(s.askedAt), now.Round(0).Sub(s.askedAt.Round(0)))
}

// find are at most four keys that may have made a signature: those of the kid, all if the
// token names none.
func (s *keySet) find(kid, alg string) []any {
	var found []any
	for _, k := range s.keys {
		if (kid == "" || k.id == kid) && k.fits(alg) && len(found) < maxTried {
			found = append(found, k.public)
		}
	}
	return found
}

// fits says whether a key is of the algorithm's kind (RFC 7518 section 3.1): what a token
// says must not choose how a key is used.
func (k *key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == string(jose.ES256) && public.Curve == elliptic.P256() ||
			alg == string(jose.ES384) && public.Curve == elliptic.P384() ||
			alg == string(jose.ES512) && public.Curve == elliptic.P521()
	case ed25519.PublicKey:
		return alg == string(jose.EdDSA)
	}
	return false
}

// parseKeys reads a JWKS (RFC 7517 section 5). Keys that are broken, of an unknown kind or
// not for signatures are left out: they must not spoil the others. No key at all is an
// answer too: all were withdrawn. Errors hold nothing of the document.
func parseKeys(document []byte) ([]key, error) {
	if len(document) > maxDocument {
		return nil, fmt.Errorf("the JWKS is larger than %d MiB", maxDocument>>20)
	}
	var (
		members map[string]json.RawMessage // a struct would take KEYS for keys
		raws    []json.RawMessage
	)
	if json.Unmarshal(document, &members) != nil || json.Unmarshal(members["keys"], &raws) != nil || raws == nil {
		return nil, errors.New("the document is no JWKS: it has no list of keys")
	}
	if len(raws) > maxKeys {
		return nil, fmt.Errorf("the JWKS has more than %d keys", maxKeys)
	}
	var keys []key
	for _, raw := range raws {
		if k, ok := parseKey(raw); ok {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// parseKey reads a public key. Its certificates are left out: nobody verifies them here,
// and one that Go can't read must not cost the key. A symmetric key that was published is
// everybody's, and so is a private one.
func parseKey(raw json.RawMessage) (key, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return key{}, false
	}
	for _, private := range []string{"k", "d", "p", "q", "dp", "dq", "qi", "oth", "priv"} {
		if _, there := members[private]; there {
			return key{}, false
		}
	}
	if ops, there := members["key_ops"]; there && !verifies(ops) {
		return key{}, false
	}
	for _, certificate := range []string{"x5c", "x5u", "x5t", "x5t#S256"} {
		delete(members, certificate)
	}
	bare, err := json.Marshal(members)
	if err != nil {
		return key{}, false
	}
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(bare) != nil || jwk.Use != "" && jwk.Use != "sig" {
		return key{}, false
	}
	switch public := jwk.Key.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSABits {
			return key{}, false
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return key{}, false
	}
	return key{public: jwk.Key, id: jwk.KeyID, alg: jwk.Algorithm}, true
}

// verifies says whether key_ops (RFC 7517 section 4.3) has verify.
func verifies(raw json.RawMessage) bool {
	var ops []string
	return json.Unmarshal(raw, &ops) == nil && slices.Contains(ops, "verify")
}
