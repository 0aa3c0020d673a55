// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// pollSlack is how much later than the policy's bound a poll may see a refusal.
	pollSlack   = time.Second
	repairLimit = time.Minute
)

// ending is step 6.
func (d *demo) ending(ctx context.Context) error {
	if err := d.signIn(ctx, "alice", goodToken); err != nil {
		return err
	}
	d.say("A new token of alice, asked about right before: the worst case, since the answer is remembered.")
	gate := d.forwardAuth("alice.header")
	before, err := gate.do(ctx, d.dir)
	if err != nil {
		return err
	}
	d.check(before.status == 200, "before: 200", fmt.Sprint(before.status))
	a, err := d.ask(ctx, d.facts.end("alice"))
	if err != nil {
		return err
	}
	ended := d.clock.Now()
	d.check(a.status == d.facts.ended, "the server has ended it", a.show(false))
	if err := d.untilRefused(ctx, gate, ended); err != nil {
		return err
	}
	if _, err := d.ask(ctx, gate); err != nil {
		return err
	}
	if d.facts.tokens[goodJWT].client != "" {
		return d.jwtGoesOn(ctx)
	}
	return nil
}

// untilRefused asks again and again, and says when it was let in for the last time.
func (d *demo) untilRefused(ctx context.Context, gate request, ended time.Time) error {
	bound, err := time.ParseDuration(maxAge)
	if err != nil {
		return fmt.Errorf("reading the bound: %w", err)
	}
	var lastAllow time.Duration
	took, err := d.until(ctx, bound+repairLimit, func(ctx context.Context) (bool, error) {
		a, err := gate.do(ctx, d.dir)
		switch {
		case err != nil:
			return false, err
		case a.status == 200:
			lastAllow = d.clock.Since(ended)
			return false, nil
		case a.status == 401:
			return true, nil
		}
		return false, fmt.Errorf("an answer %d that is neither an allow nor a refusal", a.status)
	})
	if err != nil {
		return err
	}
	d.say("By its exp the token is good for a quarter of an hour. It was let in for the last time %.1f s", lastAllow.Seconds())
	d.say("after its end, and refused after %.1f s.", took.Seconds())
	d.check(lastAllow <= bound+pollSlack && took <= bound+pollSlack, "refused within freshness.maxAge, "+maxAge, took.String())
	return nil
}

// jwtGoesOn shows what no policy can mend: nobody has asked about this token yet, so
// what is said of it is what the server says now.
func (d *demo) jwtGoesOn(ctx context.Context) error {
	if err := d.signIn(ctx, jwtName, goodJWT); err != nil {
		return err
	}
	d.say("")
	d.say("The same with a JWT. %s takes the revocation, does nothing, and calls the token active till its exp; "+
		"so do we. Where a token must end before its time, let the client have reference tokens.", d.facts.name)
	a, err := d.ask(ctx, d.facts.end(jwtName))
	if err != nil {
		return err
	}
	d.check(a.status == d.facts.ended, "the server has taken it", a.show(false))
	if a, err = d.ask(ctx, d.atServer("operator.curl", jwtName+".token")); err != nil {
		return err
	}
	d.check(activity(a) == d.facts.says.endedJWT, d.facts.name+": "+d.facts.says.endedJWT, a.show(false))
	if a, err = d.forwardAuth(jwtName+".header").do(ctx, d.dir); err != nil {
		return err
	}
	d.check(a.status == 200, "we: 200", fmt.Sprint(a.status))
	return nil
}
