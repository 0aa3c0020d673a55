// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
)

// outage is step 8.
func (d *demo) outage(ctx context.Context) error {
	if err := d.signIn(ctx, "unasked", goodToken); err != nil {
		return err
	}
	if err := d.during(d.facts.name+" is stopped", func() error { return d.server.stop(ctx) }); err != nil {
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
	if err := d.during(d.facts.name+" is started again, with its data", func() error { return d.server.start(ctx) }); err != nil {
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
	d.check(a.status == 200, fmt.Sprintf("the same token is served, %.1f s after it was up", took.Seconds()), a.show(true))
	return nil
}
