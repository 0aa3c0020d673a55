// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// pollSlack is how much later than the policy's bound a poll may see a refusal.
	pollSlack   = time.Second
	repairLimit = time.Minute
)

// logout is step 6.
func (d *demo) logout(ctx context.Context) error {
	bound, err := time.ParseDuration(maxAge)
	if err != nil {
		return fmt.Errorf("reading the bound: %w", err)
	}
	if err := d.signIn(ctx, "alice", "web", ordersScope); err != nil {
		return err
	}
	d.say("A new token of alice, asked about right before: the worst case, since the answer is remembered.")
	gate := d.forwardAuth("alice.header")
	before, err := gate.do(ctx, d.dir)
	if err != nil {
		return err
	}
	d.check(before.status == 200, "before the logout: 200", fmt.Sprint(before.status))
	a, err := d.ask(ctx, request{url: d.endpoint("logout"), ca: keycloakCA, form: []string{"client_id=web", "refresh_token@alice.refresh"}})
	if err != nil {
		return err
	}
	loggedOut := d.clock.Now()
	d.check(a.status == 204, "alice is logged out at Keycloak", a.show(false))
	var lastAllow time.Duration
	took, err := d.until(ctx, bound+repairLimit, func(ctx context.Context) (bool, error) {
		a, err := gate.do(ctx, d.dir)
		switch {
		case err != nil:
			return false, err
		case a.status == 200:
			lastAllow = d.clock.Since(loggedOut)
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
	d.say("after the logout, and refused after %.1f s.", took.Seconds())
	d.check(lastAllow <= bound+pollSlack && took <= bound+pollSlack, "refused within freshness.maxAge, "+maxAge, took.String())
	_, err = d.ask(ctx, gate)
	return err
}

// drift is step 7.
func (d *demo) drift(ctx context.Context) error {
	if err := errors.Join(d.signIn(ctx, "alice", "web", ordersScope), d.signIn(ctx, "fresh", "web", ordersScope)); err != nil {
		return err
	}
	d.say("alice signs in again, twice: alice.token, and fresh.token, about which nobody has asked yet.")
	before, err := d.registrations(ctx)
	if err != nil {
		return err
	}
	if len(before) != 1 {
		return fmt.Errorf("%d clients %s are in Keycloak", len(before), clientID)
	}
	secret, err := d.mounted(ctx)
	if err != nil {
		return err
	}
	a, err := d.ask(ctx, request{method: http.MethodDelete, url: d.adminURL("/clients/" + before[0]), ca: keycloakCA, bearer: "admin.header"})
	if err != nil {
		return err
	}
	d.check(a.status == 204, "somebody deleted the client in Keycloak", a.show(false))
	took, err := d.repaired(ctx)
	if err != nil {
		return err
	}
	d.say("Back after %.1f s. What it is now:", took.Seconds())
	after, err := d.registrations(ctx)
	if err != nil {
		return err
	}
	d.check(slices.Equal(before, after), "the same id at Keycloak: "+before[0], fmt.Sprint(after))
	now, err := d.mounted(ctx)
	if err != nil {
		return err
	}
	d.check(now.ResourceVersion == secret.ResourceVersion && now.UID == secret.UID, "the Secret that workloads mount is untouched (resourceVersion "+secret.ResourceVersion+")", now.ResourceVersion)
	if a, err = d.ask(ctx, d.atKeycloak("operator.curl", "fresh.token")); err != nil {
		return err
	}
	d.check(claims(a)["active"] == true, "Keycloak knows it by the same secret as before", a.show(false))
	if err := d.signIn(ctx, "new", "web", ordersScope); err != nil {
		return err
	}
	if a, err = d.ask(ctx, d.forwardAuth("new.header")); err != nil {
		return err
	}
	d.check(a.status == 200, "a token made after that names the API in aud: 200", a.show(true))
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

// outage is step 8.
func (d *demo) outage(ctx context.Context) error {
	if err := d.signIn(ctx, "unasked", "web", ordersScope); err != nil {
		return err
	}
	if err := d.during("Keycloak is stopped", func() error { return d.keycloak.Stop(ctx) }); err != nil {
		return err
	}
	gate := d.forwardAuth("unasked.header")
	a, err := d.ask(ctx, gate)
	if err != nil {
		return err
	}
	d.check(a.status == 503, "503, not a refusal", a.show(true))
	a, err = d.ask(ctx, request{url: "https://" + d.urls.introspection + "/introspect/shop/orders", ca: "orders-ca.crt", user: "orders.curl", form: []string{"token@unasked.token"}})
	if err != nil {
		return err
	}
	d.check(a.status == 503 && !strings.Contains(a.body, "active"), "503, not inactive", a.show(false))
	if err := d.during("Keycloak is started again, with its data", func() error { return d.keycloak.Start(ctx) }); err != nil {
		return err
	}
	took, err := d.until(ctx, repairLimit, func(ctx context.Context) (bool, error) {
		a, err := gate.do(ctx, d.dir)
		if err != nil || a.status == 503 {
			return false, err
		}
		if a.status != 200 {
			return false, fmt.Errorf("the token was answered %d", a.status)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if a, err = d.ask(ctx, gate); err != nil {
		return err
	}
	d.check(a.status == 200, fmt.Sprintf("the same token is served, %.1f s after Keycloak was up", took.Seconds()), a.show(true))
	return nil
}

// words are the first n of a line.
func words(line string, n int) []string {
	all := strings.Fields(line)
	return all[:min(n, len(all))]
}

// subjectOf reads the sub of a token that came straight from Keycloak.
func subjectOf(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the token is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("the token's payload can't be decoded")
	}
	var c struct {
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(payload, &c); err != nil || c.Subject == "" {
		return "", errors.New("the token has no sub")
	}
	return c.Subject, nil
}
