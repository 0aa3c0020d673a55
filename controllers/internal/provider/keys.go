// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// JWKS is a set of keys (RFC 7517 section 5).
type JWKS struct {
	Keys []json.RawMessage `json:"keys"`
}

// KeySet are the public keys of credentials.
func KeySet(credentials []Credential) JWKS {
	set := JWKS{Keys: []json.RawMessage{}}
	for _, c := range credentials {
		set.Keys = append(set.Keys, c.PublicKey)
	}
	return set
}

// key is what makes a public key the key that it is (RFC 7518 section 6, RFC 8037 section 2). Servers add
// and drop the rest: whether they take a key with that is for a proof to say.
type key struct {
	Kid string `json:"kid"`
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	N   string `json:"n"`
	E   string `json:"e"`
}

// privateMembers are those that no public key has (RFC 7518 section 6).
func privateMembers() []string { return []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} }

// NormalKeys spells a set of keys in one way, whatever the order and the layout of the server's: two sets
// are the same if that is. Empty is a set of none; an error says that it is no set.
func NormalKeys(set []byte) (string, error) {
	var found JWKS
	if err := json.Unmarshal(set, &found); err != nil {
		return "", fmt.Errorf("reading a set of keys: %w", err)
	}
	var normal []string
	for _, each := range found.Keys {
		var k key
		if err := json.Unmarshal(each, &k); err != nil {
			return "", fmt.Errorf("reading a key: %w", err)
		}
		spelled, err := json.Marshal(k) // between quotes, no value can pass for two
		if err != nil {
			return "", fmt.Errorf("writing a key: %w", err)
		}
		normal = append(normal, string(spelled))
	}
	slices.Sort(normal)
	return strings.Join(slices.Compact(normal), " "), nil
}

// SameKeys compares sets of keys. What is no set is never the same, not even as itself.
func SameKeys(a, b []byte) bool {
	x, errX := NormalKeys(a)
	y, errY := NormalKeys(b)
	return errX == nil && errY == nil && x == y
}
