// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// How the operator's own Secrets are found.
const (
	labelKind        = "introspection.dev/kind"
	annotationObject = "introspection.dev/object"
	object           = "shop/orders"
)

// record is what we read of the operator's own record of the client.
type record struct {
	ClientID string `json:"clientID"`
	// State is what the provider keeps for itself.
	State   string `json:"state"`
	Current struct {
		Secret string `json:"secret"`
	} `json:"current"`
}

// ownSecrets are the operator's Secrets that belong to the client, or of a kind.
func (d *demo) ownSecrets(ctx context.Context, is func(corev1.Secret) bool) ([]corev1.Secret, error) {
	list := &corev1.SecretList{}
	if err := d.kube.List(ctx, list, client.HasLabels{labelKind}); err != nil {
		return nil, fmt.Errorf("listing the operator's Secrets: %w", err)
	}
	var found []corev1.Secret
	for _, s := range list.Items {
		if is(s) {
			found = append(found, s)
		}
	}
	return found, nil
}

// collectSecrets notes what must never be told, and writes the credential with
// which the operator asks the server, for curl: no workload ever has it.
func (d *demo) collectSecrets(ctx context.Context) error {
	records, err := d.ownSecrets(ctx, func(s corev1.Secret) bool {
		return s.Labels[labelKind] == "record" && s.Annotations[annotationObject] == object
	})
	if err != nil {
		return err
	}
	if len(records) != 1 {
		return fmt.Errorf("there are %d records of %s", len(records), object)
	}
	var r record
	if err := json.Unmarshal(records[0].Data["record.json"], &r); err != nil || r.Current.Secret == "" {
		return errors.New("the record of shop/orders has no credential")
	}
	d.secret(r.Current.Secret)
	token := regexp.MustCompile(`registration_access_token\\*":\\*"([^"\\]+)`)
	for _, found := range token.FindAllStringSubmatch(r.State, -1) {
		d.secret(found[1])
	}
	mounted, err := d.mounted(ctx)
	if err != nil {
		return err
	}
	return errors.Join(
		d.write("operator.curl", "user = "+strconv.Quote(r.ClientID+":"+r.Current.Secret)+"\n"),
		d.write(webhookCA, string(mounted.Data["ca.crt"])),
	)
}

// noLeaks looks for every secret and token of this run where none may be.
func (d *demo) noLeaks(ctx context.Context) error {
	places := map[string]string{"this terminal": d.said()}
	for _, name := range []string{"controller", "webhook"} {
		content, err := os.ReadFile(d.log(name))
		if err != nil {
			return fmt.Errorf("reading a log: %w", err)
		}
		places["the log of the "+name] = string(content)
	}
	events, err := d.shell(ctx, "kubectl get events.events.k8s.io -A -o yaml")
	if err != nil {
		return err
	}
	places["Events"] = events
	metrics, err := request{url: "http://" + d.urls.webhookMetrics + "/metrics"}.do(ctx, d.dir)
	if err != nil {
		return err
	}
	places["metrics"] = metrics.body
	var leaks []string
	for place, content := range places {
		if n := d.count(content); n > 0 {
			leaks = append(leaks, fmt.Sprintf("%d in %s", n, place))
		}
	}
	d.check(len(leaks) == 0, fmt.Sprintf("none of %d secrets and tokens of this run is in the terminal, the logs, the Events or the metrics", len(d.secrets)), strings.Join(leaks, ", "))
	return nil
}

func (d *demo) count(content string) int {
	n := 0
	for _, secret := range d.secrets {
		if strings.Contains(content, secret) {
			n++
		}
	}
	return n
}

// read is a file of the demo's directory.
func (d *demo) read(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	return string(content), nil
}
