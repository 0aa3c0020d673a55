// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// drift is step 7.
func (d *demo) drift(ctx context.Context) error {
	if err := errors.Join(d.signIn(ctx, "alice", goodToken), d.signIn(ctx, "fresh", goodToken)); err != nil {
		return err
	}
	d.say("alice signs in again, twice: alice.token, and fresh.token, about which nobody has asked yet.")
	before, err := d.server.registrations(ctx)
	if err != nil {
		return err
	}
	if len(before) != 1 {
		return fmt.Errorf("%d registrations are at %s", len(before), d.facts.name)
	}
	secret, err := d.mounted(ctx)
	if err != nil {
		return err
	}
	if err := d.server.remove(ctx, before[0]); err != nil {
		return err
	}
	took, err := d.repaired(ctx)
	if err != nil {
		return err
	}
	d.say("Back after %.1f s. What it is now:", took.Seconds())
	after, err := d.server.registrations(ctx)
	if err != nil {
		return err
	}
	if err := d.compare(ctx, before, after, secret); err != nil {
		return err
	}
	if err := d.signIn(ctx, "new", goodToken); err != nil {
		return err
	}
	a, err := d.ask(ctx, d.forwardAuth("new.header"))
	if err != nil {
		return err
	}
	d.check(a.status == 200, "a token made after that: 200", a.show(true))
	return d.driftTold(ctx)
}

// compare is what came back with what was there.
func (d *demo) compare(ctx context.Context, before, after []string, mounted *corev1.Secret) error {
	now, err := d.mounted(ctx)
	if err != nil {
		return err
	}
	switch d.facts.says.again {
	case sameAgain:
		d.check(slices.Equal(before, after), "the same id at "+d.facts.name+": "+before[0], fmt.Sprint(after))
		a, err := d.ask(ctx, d.atServer("operator.curl", "fresh.token"))
		if err != nil {
			return err
		}
		d.check(activity(a) == isActive, d.facts.name+" knows it by the same secret as before", a.show(false))
	default:
		d.check(len(after) == 1 && !slices.Equal(before, after), "one registration, and another id: "+strings.Join(after, " "), fmt.Sprint(after))
		if err := d.collectSecrets(ctx); err != nil {
			return err
		}
	}
	d.check(now.ResourceVersion == mounted.ResourceVersion && now.UID == mounted.UID,
		"the Secret that workloads mount is untouched (resourceVersion "+mounted.ResourceVersion+")", now.ResourceVersion)
	return nil
}

// repaired asks about the fresh token until it is served, on both surfaces: what
// nobody can tell is 503, never a refusal.
func (d *demo) repaired(ctx context.Context) (time.Duration, error) {
	gate := d.forwardAuth("fresh.header")
	deleted := d.clock.Now()
	a, err := d.ask(ctx, gate)
	if err != nil {
		return 0, err
	}
	d.check(a.status == 503 && a.body != "", "503, with the reason", a.show(true))
	secret, err := d.mounted(ctx)
	if err != nil {
		return 0, err
	}
	facade := request{url: string(secret.Data["introspection_endpoint"]), ca: "orders-ca.crt", user: "orders.curl", form: []string{"token@fresh.token"}}
	said := map[int]int{}
	_, err = d.until(ctx, repairLimit, func(ctx context.Context) (bool, error) {
		f, err := facade.do(ctx, d.dir)
		if err != nil {
			return false, err
		}
		g, err := gate.do(ctx, d.dir)
		if err != nil {
			return false, err
		}
		if f.status == 200 && claims(f)["active"] != true {
			return false, errors.New("the facade called a live token inactive")
		}
		said[f.status]++
		said[g.status]++
		return f.status == 200 && g.status == 200, nil
	})
	if err != nil {
		return 0, err
	}
	only := true
	for status := range said {
		only = only && (status == 200 || status == 503)
	}
	d.check(only, "meanwhile 503 on both surfaces, never a refusal and never inactive", fmt.Sprint(said))
	return d.clock.Since(deleted), nil
}

// driftTold is how people learn of it.
func (d *demo) driftTold(ctx context.Context) error {
	out, err := d.run(ctx, "kubectl get events.events.k8s.io -A --field-selector regarding.kind=IntrospectionClient \\\n      -o custom-columns=NAMESPACE:.metadata.namespace,REASON:.reason,ABOUT:.regarding.name,NOTE:.note")
	if err != nil {
		return err
	}
	hint := slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
		return slices.Equal(words(line, 3), []string{webhookNamespace, "CredentialsRefused", "orders"})
	})
	d.check(hint, "the webhook told the controller, by an Event in its own namespace", out)
	d.check(strings.Contains(out, "DriftRepaired"), "and an Event on the object says what was put right", out)
	return nil
}

// words are the first n of a line.
func words(line string, n int) []string {
	all := strings.Fields(line)
	return all[:min(n, len(all))]
}
