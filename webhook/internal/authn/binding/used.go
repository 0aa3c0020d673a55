// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"crypto/sha256"
	"hash/maphash"
	"sync"
	"time"
)

const (
	// shares is how many groups the keys fall into, and keyShare the part of the memory
	// that one group may take.
	shares   = 256
	keyShare = 2
)

// mark is the one use of a `jti` by a key: half of a SHA-256. Two that collide refuse a
// proof, they never let one in.
type mark [sha256.Size / 2]byte

func markOf(thumbprint [sha256.Size]byte, jti string) mark {
	sum := sha256.Sum256(append(thumbprint[:], jti...)) // the first part has one length: no two run into one
	return mark(sum[:len(mark{})])
}

// used are the proofs that were taken, in two generations: each is kept for span at least,
// which is as long as a proof can be good.
type used struct {
	span time.Duration
	most int
	seed maphash.Seed

	mu        sync.Mutex
	now, last *generation
	// forgotten is the latest `iat` that was dropped: whatever the clock does, an older proof
	// may be one of those.
	forgotten time.Time
}

type generation struct {
	began  time.Time
	marks  map[mark]struct{}
	shares [shares]int
	newest time.Time
}

// outcome of take.
type outcome uint8

const (
	replayed outcome = iota // the zero value refuses
	taken
	full
)

func newUsed(span time.Duration, most int) *used {
	return &used{span: span, most: most, seed: maphash.MakeSeed(), now: newGeneration(time.Time{}), last: newGeneration(time.Time{})}
}

func newGeneration(began time.Time) *generation {
	return &generation{began: began, marks: map[mark]struct{}{}}
}

// has says whether the proof was taken before.
func (u *used) has(m mark, iat, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn(now)
	return u.knows(m, iat)
}

// take takes the proof, once.
func (u *used) take(thumbprint [sha256.Size]byte, m mark, iat, now time.Time) outcome {
	share := u.share(thumbprint)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn(now)
	switch {
	case u.knows(m, iat):
		return replayed
	case len(u.now.marks)+len(u.last.marks) >= u.most,
		u.now.shares[share]+u.last.shares[share] >= max(u.most/keyShare, 1):
		return full
	}
	u.now.marks[m] = struct{}{}
	u.now.shares[share]++
	if iat.After(u.now.newest) {
		u.now.newest = iat
	}
	return taken
}

// share is the group of a key. It is seeded: nobody chooses whom to share with.
func (u *used) share(thumbprint [sha256.Size]byte) uint64 {
	return maphash.Bytes(u.seed, thumbprint[:]) % shares
}

func (u *used) knows(m mark, iat time.Time) bool {
	_, now := u.now.marks[m]
	_, last := u.last.marks[m]
	return now || last || !iat.After(u.forgotten)
}

// turn drops the generation whose proofs are all too old. Age is monotonic where the clock
// is: one that is set back must not fill the memory.
func (u *used) turn(now time.Time) {
	if u.now.began.IsZero() {
		u.now.began = now
		return
	}
	age := now.Sub(u.now.began)
	if age < u.span {
		return
	}
	u.forget(u.last)
	u.last, u.now = u.now, newGeneration(now)
	if age >= 2*u.span {
		u.forget(u.last)
		u.last = newGeneration(now)
	}
}

func (u *used) forget(g *generation) {
	if g.newest.After(u.forgotten) {
		u.forgotten = g.newest
	}
}
