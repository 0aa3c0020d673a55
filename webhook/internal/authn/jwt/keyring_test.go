// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const wrongSignature = string(token.ReasonInvalidSignature)

// scene is a verifier and its server, in a bubble whose clock is fake.
type scene struct {
	*testing.T

	s    *server
	v    *jwt.Verifier
	keys map[string]*ecdsa.PrivateKey
}

// bubble runs a scene of a server with one key, old.
func bubble(t *testing.T, run func(scene)) {
	t.Helper()
	keys := map[string]*ecdsa.PrivateKey{"old": ecKey(t, elliptic.P256()), "new": ecKey(t, elliptic.P256())}
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		at := scene{T: t, s: s, v: open(t, s, nil), keys: keys}
		at.publish("old")
		run(at)
		synctest.Wait()
	})
}

func (at scene) publish(kids ...string) {
	at.Helper()
	var published []object
	for _, kid := range kids {
		published = append(published, jwk(at, at.keys[kid].Public(), kid, nil))
	}
	at.s.publish(published...)
}

// by is a new token, signed by the key of that name, or by the old key in another name.
func (at scene) by(kid string) string {
	at.Helper()
	key, ok := at.keys[kid]
	if !ok {
		key = at.keys["old"]
	}
	return sign(at, header(kid), claims(), key)
}

// expect is what a token's verification comes to, and how many fetches there were by then.
func (at scene) expect(reason, raw, want string, asked int) {
	at.Helper()
	got := verify(at, at.v, raw)
	synctest.Wait()
	if got != want || at.s.count() != asked {
		at.Errorf("%s: %s after %d fetches, want %s after %d", reason, got, at.s.count(), want, asked)
	}
}

func TestRotation(t *testing.T) {
	bubble(t, func(at scene) {
		at.expect("the first token brings the keys", at.by("old"), "ok", 1)
		at.expect("known keys cost no fetch", at.by("old"), "ok", 1)

		at.publish("old", "new")
		at.expect("a new key works at once", at.by("new"), "ok", 2)
		at.expect("the old one too, while it is published", at.by("old"), "ok", 2)

		at.publish("new")
		at.expect("nobody told us that it was withdrawn", at.by("old"), "ok", 2)
		time.Sleep(10*time.Minute + 1)
		at.expect("serves while the keys are fetched in the background", at.by("new"), "ok", 3)
		at.expect("a withdrawn key verifies no more: one fetch may bring it back", at.by("old"), wrongSignature, 4)
		at.expect("and no other", at.by("old"), wrongSignature, 4)

		time.Sleep(10*time.Minute + 1)
		at.publish()
		at.expect("the last fetch before all were withdrawn", at.by("new"), "ok", 5)
		at.expect("a server without keys says nothing about tokens", at.by("new"), unavailable, 6)
		if err := at.v.Warm(at.Context()); outcome(at, err) != unavailable {
			at.Errorf("warm without a key: %v", err)
		}
		at.publish("new")
		time.Sleep(30 * time.Second)
		at.expect("it has keys again", at.by("new"), "ok", 7)
	})
}

// TestRotationWithoutKid: tokens without a kid, and a server whose only key changed.
func TestRotationWithoutKid(t *testing.T) {
	oldKey, newKey := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	oldJWK, newJWK := jwk(t, oldKey.Public(), "", nil), jwk(t, newKey.Public(), "", nil)
	noKid := object{"alg": "ES256", "typ": "at+jwt"}
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		s.publish(oldJWK)
		at := scene{T: t, s: s, v: open(t, s, nil)}
		at.expect("one key fits", sign(t, noKid, claims(), oldKey), "ok", 1)
		s.publish(newJWK)
		at.expect("a new key works at once", sign(t, noKid, claims(), newKey), "ok", 2)
		at.expect("the old one is withdrawn", sign(t, noKid, claims(), oldKey), wrongSignature, 2)
	})
}

// TestUnknownKidFlood: random kids cost a fetch in 30 seconds, whoever sends them.
func TestUnknownKidFlood(t *testing.T) {
	bubble(t, func(at scene) {
		at.expect("the first keys", at.by("old"), "ok", 1)
		for second := range 90 {
			for i := range 5 {
				kid := fmt.Sprintf("random-%d-%d", second, i)
				at.expect("a random kid", at.by(kid), wrongSignature, 2+second/30)
			}
			at.expect("others go on", at.by("old"), "ok", 2+second/30)
			time.Sleep(time.Second)
		}
	})
}

func TestKnownKidWithWrongSignatureCostsNoFetch(t *testing.T) {
	bubble(t, func(at scene) {
		at.expect("the first keys", at.by("old"), "ok", 1)
		at.expect("the key is known: no is no", sign(at, header("old"), claims(), ecKey(at, elliptic.P256())), wrongSignature, 1)
	})
}

func TestOutage(t *testing.T) {
	bubble(t, func(at scene) {
		at.s.fail()
		at.expect("no keys: nobody can tell", at.by("old"), unavailable, 1)
		at.expect("nobody waits for another failure at once", at.by("old"), unavailable, 1)
		if err := at.v.Warm(at.Context()); !errors.Is(err, errDown) {
			at.Errorf("the cause is lost: %v", err)
		}
		time.Sleep(2 * time.Second)
		at.expect("a failure is tried again", at.by("old"), unavailable, 2)

		at.publish("old")
		time.Sleep(2 * time.Second)
		at.expect("back again", at.by("old"), "ok", 3)

		at.s.fail()
		at.expect("unknown key in an outage: it may be a new one", at.by("new"), unavailable, 4)
		at.expect("without another fetch", at.by("new"), unavailable, 4)
		at.expect("known keys serve", at.by("old"), "ok", 4)
		time.Sleep(10*time.Minute + 1)
		at.expect("known keys serve while the refresh fails", at.by("old"), "ok", 5)
		at.expect("which is not repeated at once", at.by("old"), "ok", 5)
		time.Sleep(50*time.Minute - 1)
		at.expect("to their last instant", at.by("old"), "ok", 6)
		time.Sleep(2 * time.Second)
		at.expect("a failed refresh extends nothing", at.by("old"), unavailable, 7)
		at.expect("and fetches are bounded", at.by("old"), unavailable, 7)
		if age, ok := at.v.KeysAge(); !ok || age != time.Hour+2*time.Second {
			at.Errorf("the keys are %v old, %t", age, ok)
		}

		at.publish("old")
		time.Sleep(2 * time.Second)
		at.expect("back again", at.by("old"), "ok", 8)
		if age, ok := at.v.KeysAge(); !ok || age != 0 {
			at.Errorf("the keys are %v old, %t", age, ok)
		}
	})
}

// TestAfterAnOutageUnknownIsRefused: the fetch for an unknown key failed, a later one did not.
func TestAfterAnOutageUnknownIsRefused(t *testing.T) {
	bubble(t, func(at scene) {
		at.expect("the first keys", at.by("old"), "ok", 1)
		at.s.fail()
		at.expect("nobody can tell", at.by("evil"), unavailable, 2)
		at.publish("old")
		time.Sleep(30 * time.Second)
		at.expect("the server says that there is no such key", at.by("evil"), wrongSignature, 3)
	})
}

func TestManyWaitForOneFetch(t *testing.T) {
	bubble(t, func(at scene) {
		at.s.takes = 3 * time.Second
		raw := at.by("old")
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if got := verify(at, at.v, raw); got != "ok" {
					at.Errorf("one of many: %s", got)
				}
			})
		}
		short, cancel := context.WithTimeout(at.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := at.v.Verify(short, token.New(raw))
		if outcome(at, err) != unavailable || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			at.Errorf("a reader in a hurry: %v after %v", err, time.Since(start))
		}
		wait.Wait()
		if at.s.count() != 1 {
			at.Errorf("%d fetches", at.s.count())
		}
	})
}

func TestManyWithANewKeyCostOneFetch(t *testing.T) {
	bubble(t, func(at scene) {
		at.expect("the first keys", at.by("old"), "ok", 1)
		at.publish("new")
		at.s.takes = time.Second
		raw := at.by("new")
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if got := verify(at, at.v, raw); got != "ok" {
					at.Errorf("one of many: %s", got)
				}
			})
		}
		wait.Wait()
		at.expect("once for all", raw, "ok", 2)
	})
}

// TestLeaderLeaves: the fetch is nobody's own.
func TestLeaderLeaves(t *testing.T) {
	bubble(t, func(at scene) {
		at.s.takes = 3 * time.Second
		short, cancel := context.WithTimeout(at.Context(), time.Second)
		defer cancel()
		if _, err := at.v.Verify(short, token.New(at.by("old"))); outcome(at, err) != unavailable {
			at.Errorf("the first: %v", err)
		}
		at.expect("the second has its answer", at.by("old"), "ok", 1)
	})
}

func TestFetchHasALimit(t *testing.T) {
	bubble(t, func(at scene) {
		at.s.takes = time.Hour
		start := time.Now()
		at.expect("nobody waits for ever", at.by("old"), unavailable, 1)
		if took := time.Since(start); took != 5*time.Second {
			at.Errorf("it took %v", took)
		}
	})
}

// TestFetchBegunBeforeTheRotation: a new key's token that joins a fetch that was sent before
// the key was published has one of its own.
func TestFetchBegunBeforeTheRotation(t *testing.T) {
	bubble(t, func(at scene) {
		at.s.takes = time.Second
		go func() { _ = at.v.Warm(at.Context()) }()
		synctest.Wait()
		at.publish("old", "new")
		at.expect("the first answer is older than the key", at.by("new"), "ok", 2)
	})
}

func TestPanicOfAFetchIsAnError(t *testing.T) {
	v := open(t, &server{}, func(o *jwt.Options) {
		o.Keys = func(context.Context) ([]byte, error) { panic("canary") }
	})
	err := v.Warm(t.Context())
	if outcome(t, err) != unavailable {
		t.Fatalf("a panic: %v", err)
	}
	if want := "fetching the signing keys of " + issuer + ": panic: string"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
