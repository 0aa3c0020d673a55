// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// questioners ask at once over each surface of each replica.
	questioners = 2
	easy        = 20 * time.Millisecond
	// told is how many of many faults are told.
	told = 10
)

// bearer is a token that is shown, and whether it may pass.
type bearer struct {
	class string
	good  bool
	token func() string
}

// same is always the same token.
func same(token string) func() string { return func() string { return token } }

// bearers are one good token, and all that must never pass.
func (w *world) bearers(t *testing.T) []bearer {
	t.Helper()
	alice, revoked := w.signIn(t, "web", apiScope), w.signIn(t, "web", apiScope)
	w.signOut(t, revoked)
	w.inactiveSince(t, w.registered(t, "shop.orders"), revoked.Access)
	header, rest, _ := strings.Cut(alice.Access, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	decoded, err := base64.RawURLEncoding.DecodeString(claims)
	if err != nil {
		t.Fatal(err)
	}
	narrow := w.signIn(t, "web", "").Access
	_, wide, _ := strings.Cut(narrow, ".")
	_, stolen, _ := strings.Cut(wide, ".")
	return []bearer{
		{"good", true, same(alice.Access)},
		{"revoked", false, same(revoked.Access)},
		{"another issuer's", false, same(w.administrator(t))},
		{"another API's", false, same(w.signIn(t, "billing-app", apiScope).Access)},
		{"without the scope", false, same(narrow)},
		{"a refresh token", false, same(alice.Refresh)},
		{"signed by nobody", false, same(encode(`{"alg":"none","typ":"JWT"}`) + "." + claims + ".")},
		{"another's signature", false, same(header + "." + claims + "." + stolen)},
		{"changed", false, func() string { // each is one that nobody has seen
			return header + "." + encode(strings.Replace(string(decoded), "{", `{"x":"`+rand.Text()+`",`, 1)) + "." + signature
		}},
		{"garbage", false, rand.Text},
		{"dots", false, func() string { return rand.Text() + strings.Repeat(".", 4000) }},
	}
}

// tally is what one caller was answered about the good token, by policy.
type tally [3][broken + 1]int

// load asks about all tokens for all policies, over all surfaces of all replicas.
type load struct {
	callers []*caller
	bearers []bearer
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	counts map[string]*[broken + 1]int // by class
	good   map[*caller]*tally
	wrong  []string // allows that must not be
	broken []string
	// noes are denials of the good token.
	noes []string
	// lying says that the server may say no to a good token.
	lying bool
}

// begin asks until the test ends.
func begin(t *testing.T, callers []*caller, bearers []bearer) *load {
	t.Helper()
	l := &load{callers: callers, bearers: bearers, counts: map[string]*[broken + 1]int{}, good: map[*caller]*tally{}}
	for _, b := range bearers {
		l.counts[b.class] = &[broken + 1]int{}
	}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(t.Context())
	for _, c := range callers {
		l.good[c] = &tally{}
		for range questioners {
			l.running.Go(func() { l.ask(ctx, c) })
		}
	}
	return l
}

// end waits for the last answers.
func (l *load) end() {
	l.stop()
	l.running.Wait()
}

func (l *load) ask(ctx context.Context, c *caller) {
	for {
		for i, p := range policies() {
			for _, b := range l.bearers {
				if ctx.Err() != nil {
					return
				}
				v, err := c.ask(context.WithoutCancel(ctx), p, b.token())
				l.count(c, i, &b, v, err)
				pause(ctx, easy)
			}
		}
	}
}

func (l *load) count(c *caller, policy int, b *bearer, v verdict, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[b.class][v]++
	what := fmt.Sprintf("%s, policy %s, token %s, at %s", c, policies()[policy].name, b.class, time.Now().Format(time.TimeOnly))
	switch {
	case v == allowed && !b.good:
		l.wrong = append(l.wrong, what)
	case v == broken:
		l.broken = append(l.broken, fmt.Sprintf("%s: %v", what, err))
	case v == denied && b.good && !l.lying:
		l.noes = append(l.noes, what)
	}
	if b.good {
		l.good[c][policy][v]++
	}
}

// lies says whether the server may say no to a good token from now on.
func (l *load) lies(lying bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lying = lying
}

// until waits until it holds for each caller, given what it was answered about the good
// token since then.
func (l *load) until(t *testing.T, what string, holds func(since *tally) bool) {
	t.Helper()
	began := time.Now()
	l.mu.Lock()
	was := map[*caller]tally{}
	for c, counted := range l.good {
		was[c] = *counted
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	for _, c := range l.callers {
		for {
			l.mu.Lock()
			since := *l.good[c]
			l.mu.Unlock()
			for p := range since {
				for v := range since[p] {
					since[p][v] -= was[c][p][v]
				}
			}
			if holds(&since) {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s: not so the %s: %v by policy (allowed, denied, undecided, unreached, broken)", what, c, since)
			}
			pause(ctx, pollPause)
		}
	}
	t.Logf("%6s: %s", time.Since(began).Round(time.Millisecond), what)
}

// lets is that the good token passes, for each policy.
func lets(since *tally) bool { return each(since, allowed) }

// cannotTell is that nobody can tell any more, for each policy.
func cannotTell(since *tally) bool { return each(since, undecided) }

// cannotTellSoon is the same for the policy whose facts grow old first.
func cannotTellSoon(since *tally) bool { return since[0][undecided] > 0 }

func each(since *tally, v verdict) bool {
	for p := range since {
		if since[p][v] == 0 {
			return false
		}
	}
	return true
}

// report fails for each wrong allow and each answer that is owed.
func (l *load) report(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, class := range slices.Sorted(maps.Keys(l.counts)) {
		c := l.counts[class]
		t.Logf("%-20s %6d allowed %6d denied %6d undecided %6d unreached %6d broken", class, c[allowed], c[denied], c[undecided], c[unreached], c[broken])
	}
	for what, found := range map[string][]string{"wrong allows": l.wrong, "questions that were sent and not answered": l.broken, "noes to a good token": l.noes} {
		if len(found) > 0 {
			t.Errorf("%d %s, such as\n%s", len(found), what, strings.Join(found[:min(told, len(found))], "\n"))
		}
	}
}
