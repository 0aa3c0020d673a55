// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cleanUp is step 9.
func (d *demo) cleanUp(ctx context.Context) error {
	if _, err := d.run(ctx, "kubectl delete -f objects.yaml --timeout=60s"); err != nil {
		return err
	}
	left, err := d.server.registrations(ctx)
	if err != nil {
		return err
	}
	wired, err := d.server.leftovers(ctx)
	if err != nil {
		return err
	}
	left = append(left, wired...)
	d.check(len(left) == 0, "nothing of it is left at "+d.facts.name, strings.Join(left, ", "))
	_, err = d.until(ctx, repairLimit, func(ctx context.Context) (bool, error) { // the garbage collector takes its time
		err := d.kube.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "orders"}, &corev1.Secret{})
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	d.check(err == nil, "the Secret shop/orders is gone", fmt.Sprint(err))
	if _, err := d.run(ctx, "kubectl get secrets -A -l app.kubernetes.io/managed-by=introspection-operator"); err != nil {
		return err
	}
	records, err := d.ownSecrets(ctx, func(s corev1.Secret) bool { return s.Labels[labelKind] != "tls" })
	if err != nil {
		return err
	}
	names := make([]string, 0, len(records))
	for _, s := range records {
		names = append(names, s.Namespace+"/"+s.Name)
	}
	d.check(len(records) == 0, "the operator keeps no record, and no projection of it: nothing but its own certificates", strings.Join(names, ", "))
	a, err := d.ask(ctx, d.forwardAuth("new.header"))
	if err != nil {
		return err
	}
	d.check(a.status == 503, "no policy any more: 503", a.show(true))
	return nil
}

// stay is step 10: everything is there to play with, until somebody ends it.
func (d *demo) stay(ctx context.Context) error {
	if err := d.write("env.sh", fmt.Sprintf("export KUBECONFIG=%s\nexport PATH=%s:$PATH\ncd %s || return\n",
		quote(d.dir+"/"+adminKubeconfig), quote(d.dir+"/bin"), quote(d.dir))); err != nil {
		return err
	}
	if err := d.write("sign-in.sh", d.signInScript()); err != nil {
		return err
	}
	d.say("It stays up. In another terminal:")
	for _, line := range []string{
		". " + quote(d.dir+"/env.sh"),
		"kubectl get introspection -A -o wide",
		"kubectl explain tokenpolicy.spec",
		"sh sign-in.sh web orders.read          # alice's tokens live for 15 minutes: makes alice.token anew",
		fold(quoteAll(d.forwardAuth("alice.header").curl())),
		"kubectl edit tokenpolicy orders -n shop   # another scope, and ask again",
		"kubectl delete secret orders -n shop; kubectl get secret orders -n shop",
		"tail -f logs/webhook.log logs/controller.log",
		"curl -s http://" + d.urls.webhookMetrics + "/metrics | grep ^introspection_",
		"kubectl delete -f objects.yaml",
	} {
		d.command(line)
	}
	if d.gateway != "" {
		d.command("curl -s -H @alice.header " + d.gateway + "/orders/7")
	}
	d.say("")
	for _, hint := range d.facts.hints {
		d.say("%s", hint)
	}
	d.say("Ctrl-C here, or make demo-down, ends everything.")
	<-ctx.Done()
	return nil
}
