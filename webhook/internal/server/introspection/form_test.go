// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"net/url"
	"strconv"
	"testing"
	"time"
)

// FuzzForm: what we read is what the standard library reads.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"", "token=t", "token=a%2Bb+c", "token=t&token=u", "&&token=t", "token", "%74oken=t", "token=%zz", "token=t;token=u",
		"client_id=a&client_secret=b&token=c", "client_id=a&client_id=b", "=", "token==",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseForm(body)
		want, wantErr := url.ParseQuery(body)
		twice := len(want["client_id"]) > 1 || len(want["client_secret"]) > 1
		if (err != nil) != (wantErr != nil || twice) {
			t.Fatalf("%q: error %v, want %v or twice %t", body, err, wantErr, twice)
		}
		if err != nil {
			return
		}
		like := form{
			tokens: len(want["token"]), clientID: want.Get("client_id"), clientSecret: want.Get("client_secret"),
			hasID: want.Has("client_id"), hasSecret: want.Has("client_secret"),
		}
		if like.tokens > 0 {
			like.raw = want["token"][like.tokens-1]
		}
		if got != like {
			t.Errorf("%q is read as %+v, want %+v", body, got, like)
		}
		if raw, problem := got.token(); (problem == nil) != (got.tokens == 1 && raw != "") {
			t.Errorf("%q: token %q, problem %v", body, raw, problem)
		}
	})
}

// TestThrottleIsBounded: strangers choose addresses and ids.
func TestThrottleIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	th := newThrottle(func() time.Time { return now })
	for i := range 5 * maxFailing {
		th.allow("10.0.0.1:1", strconv.Itoa(i))
	}
	if n := len(th.current) + len(th.last); n > 2*maxFailing {
		t.Errorf("%d callers are remembered", n)
	}
}

func TestThrottle(t *testing.T) {
	now := time.Unix(0, 0)
	type failure struct{ remote, id string }
	repeat := func(n int, f failure) []failure {
		all := make([]failure, n)
		for i := range all {
			all[i] = f
		}
		return all
	}
	spread := make([]failure, addressBurst)
	for i := range spread {
		spread[i] = failure{"10.0.0.1:1", strconv.Itoa(i)}
	}
	cases := map[string]struct {
		reason string
		before []failure
		after  time.Duration
		next   failure
		want   bool
	}{
		"first":             {"few are heard", nil, 0, failure{"10.0.0.1:1", "a"}, true},
		"burst":             {"many are not", repeat(callerBurst, failure{"10.0.0.1:1", "a"}), 0, failure{"10.0.0.1:1", "a"}, false},
		"another port":      {"a caller opens many", repeat(callerBurst, failure{"10.0.0.1:1", "a"}), 0, failure{"10.0.0.1:2", "a"}, false},
		"later":             {"not for ever", repeat(callerBurst, failure{"10.0.0.1:1", "a"}), time.Second, failure{"10.0.0.1:1", "a"}, true},
		"another id":        {"each is counted", repeat(callerBurst, failure{"10.0.0.1:1", "a"}), 0, failure{"10.0.0.1:1", "b"}, true},
		"another address":   {"each is counted", repeat(callerBurst, failure{"10.0.0.1:1", "a"}), 0, failure{"10.0.0.2:1", "a"}, true},
		"many ids":          {"an address too", spread, 0, failure{"10.0.0.1:1", "x"}, false},
		"IPv6, same /64":    {"a host chooses among them", repeat(callerBurst, failure{"[2001:db8::1]:1", "a"}), 0, failure{"[2001:db8::2]:1", "a"}, false},
		"IPv6, another /64": {"another host", repeat(callerBurst, failure{"[2001:db8::1]:1", "a"}), 0, failure{"[2001:db8:0:1::1]:1", "a"}, true},
		"IPv4 in IPv6":      {"the same host", repeat(callerBurst, failure{"10.0.0.1:1", "a"}), 0, failure{"[::ffff:10.0.0.1]:1", "a"}, false},
		"no address":        {"counted together", repeat(callerBurst, failure{"@", "a"}), 0, failure{"", "a"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			at := now
			th := newThrottle(func() time.Time { return at })
			for _, f := range c.before {
				th.allow(f.remote, f.id)
			}
			at = at.Add(c.after)
			if got := th.allow(c.next.remote, c.next.id); got != c.want {
				t.Errorf("%s: allow = %t", c.reason, got)
			}
		})
	}
}
