// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"sync"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Key names what one credential of one client may know about one token from one
// server. It is keyed, so that nobody who sees it can try tokens against it.
type Key [sha256.Size]byte

// Identity is everything that decides an answer, except the token. Leaving one of
// them out is the bug that this class of software shipped again and again: one
// server's, one client's or one credential's answer serving another.
type Identity struct {
	// Validation is the mode: facts of one never answer another.
	Validation string
	// ServerUID is the authorization server's.
	ServerUID string
	// Endpoint is the hash of where and how it is called: issuer, endpoints, host and CA.
	Endpoint [sha256.Size]byte
	// ClientUID is the asking IntrospectionClient's.
	ClientUID string
	// Credential is the hash of the credential that asks.
	Credential [sha256.Size]byte
}

// Scope is an Identity, hashed once so that a lookup hashes little.
type Scope [sha256.Size]byte

// Scope hashes the identity.
func (i Identity) Scope() Scope {
	return Scope(HashOf(i.Validation, i.ServerUID, string(i.Endpoint[:]), i.ClientUID, string(i.Credential[:])))
}

// HashOf hashes parts, each prefixed by its length: no two lists of parts run into one.
func HashOf(parts ...string) [sha256.Size]byte {
	sum := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		sum.Write(length[:])
		sum.Write([]byte(part))
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// Domains of the MAC: a fingerprint in a log is no key of the cache.
const (
	domainKey         = 1
	domainFingerprint = 2
)

// Keyer makes keys, with a secret of its own.
type Keyer struct{ macs sync.Pool }

type mac struct {
	hash.Hash
	in, out []byte
}

// NewKeyer draws its secret from random.
func NewKeyer(random io.Reader) (*Keyer, error) {
	secret := make([]byte, sha256.Size)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, err
	}
	return &Keyer{macs: sync.Pool{New: func() any {
		return &mac{Hash: hmac.New(sha256.New, secret), out: make([]byte, 0, sha256.Size)}
	}}}, nil
}

// Key of what scope may know about t.
func (k *Keyer) Key(scope *Scope, t token.Token) Key { return k.sum(domainKey, scope[:], t) }

// Fingerprint names a token in this process's logs; it can't be tried offline.
func (k *Keyer) Fingerprint(t token.Token) string {
	sum := k.sum(domainFingerprint, nil, t)
	return hex.EncodeToString(sum[:8])
}

func (k *Keyer) sum(domain byte, scope []byte, t token.Token) Key {
	m, ok := k.macs.Get().(*mac)
	if !ok {
		panic("cache: foreign object in the pool")
	}
	m.in = append(append(append(m.in[:0], domain), scope...), t.Reveal()...)
	m.Reset()
	_, _ = m.Write(m.in) // a hash takes all
	m.out = m.Sum(m.out[:0])
	key := Key(m.out)
	clear(m.in) // no token stays in an idle buffer
	k.macs.Put(m)
	return key
}
