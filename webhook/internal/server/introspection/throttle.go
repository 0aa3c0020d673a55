// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Failed authentications that are answered 401 and logged: so many a second, and so many
// at once. Beyond, the answer is 429.
const (
	callerRate, callerBurst   = 1, 10
	addressRate, addressBurst = 5, 50
	// maxFailing bounds the memory of a generation of callers; two are kept.
	maxFailing = 4096
	// maxThrottledID is how much of a client id is told apart.
	maxThrottledID = 100
)

// throttle counts failures by address, and by address and client id.
type throttle struct {
	clock func() time.Time

	mu            sync.Mutex
	current, last map[failing]*rate.Limiter
}

// failing has the zero id for all of an address.
type failing struct {
	address netip.Prefix
	id      string
	byID    bool
}

func newThrottle(clock func() time.Time) *throttle {
	return &throttle{clock: clock, current: map[failing]*rate.Limiter{}}
}

// allow counts a failure and says whether it is one of few.
func (t *throttle) allow(remote, id string) bool {
	now := t.clock()
	prefix := prefixOf(remote)
	t.mu.Lock()
	defer t.mu.Unlock()
	// A clone: the id is a piece of the body, which the map would keep.
	byAddress := t.limiter(failing{address: prefix}, addressRate, addressBurst).AllowN(now, 1)
	byCaller := t.limiter(failing{address: prefix, id: strings.Clone(id[:min(len(id), maxThrottledID)]), byID: true}, callerRate, callerBurst).AllowN(now, 1)
	return byAddress && byCaller
}

// limiter forgets those who did not fail during a whole generation.
func (t *throttle) limiter(key failing, limit rate.Limit, burst int) *rate.Limiter {
	if l, ok := t.current[key]; ok {
		return l
	}
	l, ok := t.last[key]
	if !ok {
		l = rate.NewLimiter(limit, burst)
	}
	if len(t.current) >= maxFailing {
		t.last, t.current = t.current, map[failing]*rate.Limiter{}
	}
	t.current[key] = l
	return l
}

// prefixOf is the address, or the /64 that an IPv6 host chooses its addresses from.
func prefixOf(remote string) netip.Prefix {
	const ipv6Host = 64
	h, _, err := net.SplitHostPort(remote)
	if err != nil {
		h = remote
	}
	addr, err := netip.ParseAddr(h)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = ipv6Host
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
