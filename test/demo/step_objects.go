// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// conditions prints every condition in words.
const conditions = `kubectl get introspectionclient orders -n shop \
      -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'`

// showObjects is step 1.
func (d *demo) showObjects(ctx context.Context) error {
	out, err := d.run(ctx, "kubectl get introspectionclients,tokenpolicies,clusterauthorizationservers -A")
	if err != nil {
		return err
	}
	ready := 0
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); slices.Contains(fields, "True") && slices.Contains(fields, "Ready") {
			ready++
		}
	}
	d.check(ready == 3, "three objects, all Ready", fmt.Sprintf("%d Ready", ready))
	out, err = d.run(ctx, conditions)
	if err != nil {
		return err
	}
	conditions := []string{"Registered", "AudienceMapped", "Verified", "Published", "PolicyBound", "Ready"}
	all := true
	for _, condition := range conditions {
		all = all && strings.Contains("\n"+out, "\n"+condition+"=True")
	}
	d.check(all, strings.Join(conditions, ", ")+": all True, and each says why", out)
	return nil
}

// showSecret is step 2.
func (d *demo) showSecret(ctx context.Context) error {
	out, err := d.run(ctx, "kubectl describe secret orders -n shop")
	if err != nil {
		return err
	}
	secret, err := d.mounted(ctx)
	if err != nil {
		return err
	}
	keys := []string{"type", "provider", "client_id", "client_secret", "issuer", "introspection_endpoint", "ca.crt"}
	all := true
	for _, key := range keys {
		all = all && len(secret.Data[key]) > 0 && strings.Contains(out, key)
	}
	d.check(all, "it has the keys "+strings.Join(keys, ", "), strings.Join(slices.Sorted(maps.Keys(secret.Data)), " "))
	if chosen := d.facts.says.clientID; chosen != serverChooses {
		d.check(string(secret.Data["client_id"]) == chosen, "client_id is "+chosen, string(secret.Data["client_id"]))
	}
	want := "https://" + d.urls.introspection + "/introspect/shop/orders"
	got := string(secret.Data["introspection_endpoint"])
	d.check(got == want, "its introspection_endpoint is the policy's: "+want, got)
	return nil
}
