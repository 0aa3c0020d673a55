// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"encoding/base64"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// at is a good proof that is made at a time.
func (c *client) at(id string, when time.Time) string {
	return c.sign(c.header(), c.changed(c.claims(id), object{"iat": when.Unix()}))
}

func TestReplay(t *testing.T) {
	c, other := newClient(t, "ES256"), newClient(t, "ES256")
	v := New(Options{Clock: newWatch().Now})
	steps := []struct {
		reason string
		q      *Question
		want   string
	}{
		{"a first use", c.question(c.proof("id-1")), "ok"},
		{"signed again, the same jti", c.question(c.proof("id-1")), invalidProof},
		{"another jti", c.question(c.proof("id-2")), "ok"},
		{"the jti of another key is another", other.question(other.proof("id-1")), "ok"},
		{"that one again", other.question(other.proof("id-1")), invalidProof},
	}
	for _, step := range steps {
		if got := outcomeOf(t, v, step.q); got != step.want {
			t.Errorf("%s: %s, want %s", step.reason, got, step.want)
		}
	}
}

// A refusal must not use a proof up: whoever sees a jti could lock its owner out.
func TestRefusedProofIsNotUsed(t *testing.T) {
	c, other := newClient(t, "ES256"), newClient(t, "ES256")
	v := New(Options{Clock: newWatch().Now})
	forged := c.question(other.sign(c.header(), c.claims("id-1")))
	if got := outcomeOf(t, v, forged); got != invalidProof {
		t.Fatalf("a forged proof: %s", got)
	}
	if got := outcomeOf(t, v, c.question(c.proof("id-1"))); got != "ok" {
		t.Errorf("the owner's, after a forged one: %s", got)
	}
}

// However late it comes again, and however full the generations are by then, a proof is
// good once: it is remembered, or it is too old.
func TestReplayAtEveryAge(t *testing.T) {
	c := newClient(t, "ES256")
	for _, ahead := range []time.Duration{-60 * time.Second, 0, 10 * time.Second} {
		for start := time.Duration(0); start < 150*time.Second; start += 25 * time.Second {
			w := newWatch()
			v := New(Options{Clock: w.Now})
			if got := outcomeOf(t, v, c.question(c.at("first", w.Now()))); got != "ok" { // begins a generation
				t.Fatal(got)
			}
			w.add(start)
			raw := c.at("id", w.Now().Add(ahead))
			if got := outcomeOf(t, v, c.question(raw)); got != "ok" {
				t.Fatalf("begun %s before, iat %s ahead: %s", start, ahead, got)
			}
			for range 40 {
				if got := outcomeOf(t, v, c.question(raw)); got != invalidProof {
					t.Fatalf("begun %s before, iat %s ahead, again at %s: %s", start, ahead, w.Now().Sub(testNow), got)
				}
				w.add(5 * time.Second)
			}
		}
	}
}

// A clock that was set forward makes the verifier forget; when it is set back, what was
// forgotten must not be new.
func TestReplayAfterTheClockWasWrong(t *testing.T) {
	c := newClient(t, "ES256")
	w := newWatch()
	v := New(Options{Clock: w.Now})
	raw := c.at("id", w.Now())
	if got := outcomeOf(t, v, c.question(raw)); got != "ok" {
		t.Fatal(got)
	}
	w.add(time.Hour)
	if got := outcomeOf(t, v, c.question(c.at("then", w.Now()))); got != "ok" {
		t.Fatal(got)
	}
	w.add(-time.Hour)
	if got := outcomeOf(t, v, c.question(raw)); got != invalidProof {
		t.Errorf("the proof again, after the clock was an hour ahead: %s", got)
	}
	w.add(time.Second)
	if got := outcomeOf(t, v, c.question(c.at("new", w.Now()))); got != "ok" {
		t.Errorf("a newer proof: %s", got)
	}
}

// What was forgotten refuses no new proof, be it as old or as far ahead as may be.
func TestNewProofsAreGood(t *testing.T) {
	c := newClient(t, "ES256")
	w := newWatch()
	v := New(Options{Clock: w.Now})
	for second := range 300 {
		for _, off := range []time.Duration{-DefaultWindow, Ahead} {
			id := strconv.Itoa(second) + off.String()
			if got := outcomeOf(t, v, c.question(c.at(id, w.Now().Add(off)))); got != "ok" {
				t.Fatalf("after %d s, iat off by %s: %s", second, off, got)
			}
		}
		w.add(time.Second)
	}
}

// Two that verified the same proof at the same time: one is late.
func TestTakeOnce(t *testing.T) {
	u := newUsed(time.Minute, 8)
	key := [32]byte{1}
	m := markOf(key, "id")
	for range 2 {
		if u.has(m, testNow, testNow) {
			t.Fatal("known before its use")
		}
	}
	if got := u.take(key, m, testNow, testNow); got != taken {
		t.Errorf("the first: %d", got)
	}
	if got := u.take(key, m, testNow, testNow); got != replayed {
		t.Errorf("the second: %d", got)
	}
}

// A replay is refused before its signature is checked: a flood of one request is cheap.
func TestReplayIsCheap(t *testing.T) {
	c := newClient(t, "ES256")
	v := New(Options{Clock: newWatch().Now})
	raw := c.proof("id-1")
	if got := outcomeOf(t, v, c.question(raw)); got != "ok" {
		t.Fatal(got)
	}
	unsigned := raw[:strings.LastIndexByte(raw, '.')+1] + encode(make([]byte, 64))
	if d, _ := v.Check(c.question(unsigned)); d == nil || d.Message != usedBefore {
		t.Errorf("%+v", d)
	}
}

func TestOneProofAtOnce(t *testing.T) {
	c := newClient(t, "ES256")
	raw := c.proof("id-1")
	v := New(Options{Clock: newWatch().Now})
	var in atomic.Int32
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range 32 {
		all.Go(func() {
			q := c.question(raw)
			<-begin
			if d, undecided := v.Check(q); d == nil && undecided == nil {
				in.Add(1)
			}
		})
	}
	close(begin)
	all.Wait()
	if got := in.Load(); got != 1 {
		t.Errorf("%d requests were let in by one proof", got)
	}
}

// sumOf is a client's thumbprint.
func sumOf(t *testing.T, c *client) [32]byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(c.jkt())
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(raw)
}

// The memory is bounded, and a full one lets nobody in; nor does it say that a proof is bad.
func TestMaxProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, three := newClient(t, "ES256"), newClient(t, "ES256"), newClient(t, "ES256")
		v := New(Options{Clock: time.Now, MaxProofs: 8})
		for v.used.share(sumOf(t, one)) == v.used.share(sumOf(t, two)) { // else they share a half
			v.used.seed = maphash.MakeSeed()
		}
		ask := func(c *client, id string) string { return outcomeOf(t, v, c.question(c.at(id, time.Now()))) }
		for i := range 4 {
			if got := ask(one, strconv.Itoa(i)); got != "ok" {
				t.Fatalf("proof %d of one key: %s", i, got)
			}
		}
		if got := ask(one, "more"); got != "overloaded" {
			t.Errorf("more than a key's part: %s", got)
		}
		if got := ask(one, "0"); got != invalidProof {
			t.Errorf("a replay, full: %s", got)
		}
		for i := range 4 {
			if got := ask(two, strconv.Itoa(i)); got != "ok" {
				t.Fatalf("proof %d of another key: %s", i, got)
			}
		}
		if got := ask(three, "first"); got != "overloaded" {
			t.Errorf("more than can be remembered: %s", got)
		}
		_, undecided := v.Check(three.question(three.at("first", time.Now())))
		if undecided == nil || undecided.Reason != token.ReasonOverloaded || undecided.Message == "" {
			t.Errorf("%+v", undecided)
		}
		if n := len(v.used.now.marks) + len(v.used.last.marks); n != 8 {
			t.Errorf("%d proofs are remembered", n)
		}
		time.Sleep(70 * time.Second) // the first generation is full still, and kept
		if got := ask(three, "first"); got != "overloaded" {
			t.Errorf("after one generation: %s", got)
		}
		time.Sleep(70 * time.Second)
		if got := ask(three, "first"); got != "ok" {
			t.Errorf("after two generations: %s", got)
		}
		time.Sleep(140 * time.Second)
		if got := ask(one, "0"); got != "ok" {
			t.Errorf("after four generations: %s", got)
		}
		if n := len(v.used.now.marks) + len(v.used.last.marks); n != 1 {
			t.Errorf("%d proofs are remembered after four generations", n)
		}
	})
}
