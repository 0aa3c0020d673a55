// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
)

const (
	idBytes  = 8
	idsAtOne = 64
)

// IDs are those of decisions: 16 hexadecimal digits that nobody can guess, since who
// knows one can ask for its line in the log. The random bytes are fetched for many.
type IDs struct {
	mu   sync.Mutex
	buf  [idBytes * idsAtOne]byte
	left int
}

// NewIDs are IDs.
func NewIDs() *IDs { return &IDs{} }

// Next is another one.
func (s *IDs) Next() string {
	var raw [idBytes]byte
	s.mu.Lock()
	if s.left == 0 {
		_, _ = rand.Read(s.buf[:]) // never fails: the process would end
		s.left = idsAtOne
	}
	s.left--
	copy(raw[:], s.buf[s.left*idBytes:])
	s.mu.Unlock()
	return hex.EncodeToString(raw[:])
}
