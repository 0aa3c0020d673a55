// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kubectl runs the real one, with stdin, and returns what a user sees.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), cluster.kubectl, append([]string{"--kubeconfig", cluster.kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// table is kubectl's, without the width of its columns.
func table(out string) []string {
	var rows []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" {
			rows = append(rows, regexp.MustCompile(`  +`).ReplaceAllString(line, " | "))
		}
	}
	return rows
}

// age is the one column that changes, after a reason or status.
var age = regexp.MustCompile(`(Ready|NoTokenClients|Unknown) \| [0-9smh]+`)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	want := []string{
		"NAME | SHORTNAMES | APIVERSION | NAMESPACED | KIND | VERBS | CATEGORIES",
		"clusterauthorizationservers | casrv | introspection.dev/v1alpha1 | false | ClusterAuthorizationServer | delete,deletecollection,get,list,patch,create,update,watch | introspection",
		"introspectionclients | ic | introspection.dev/v1alpha1 | true | IntrospectionClient | delete,deletecollection,get,list,patch,create,update,watch | introspection",
		"tokenpolicies | tp | introspection.dev/v1alpha1 | true | TokenPolicy | delete,deletecollection,get,list,patch,create,update,watch | introspection",
	}
	if diff := cmp.Diff(want, table(kubectl(t, "", "api-resources", "--api-group=introspection.dev", "-o", "wide"))); diff != "" {
		t.Errorf("discovery (-want +got):\n%s", diff)
	}
}

// TestColumns: whether it works, and why not, in one look.
func TestColumns(t *testing.T) {
	t.Parallel()
	const message = "No token client is named."
	status := map[string]map[string]any{
		serverKind: {"capabilities": map[string]any{"provider": "keycloak"}, "conditions": []any{condition("Ready", "True", "Ready", message)}},
		clientKind: {
			"clientID": "shop.orders", "binding": map[string]any{"name": "orders-secret"},
			"conditions": []any{condition("Ready", "False", "NoTokenClients", message), condition("PolicyBound", "Unknown", "Pending", "")},
		},
		policyKind: {"conditions": []any{condition("Ready", "True", "Ready", message)}},
	}
	names, with := map[string]string{}, map[string]edits{policyKind: {"spec.freshness.maxAge": "30s"}}
	for kind := range minimal {
		object := keep(t, edited(t, kind, with[kind]))
		object.Object["status"] = status[kind]
		if err := cluster.Status().Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		names[kind] = object.GetName()
	}
	cases := map[string]struct {
		reason string
		args   []string
		want   []string
	}{
		"category": {
			reason: "everything of ours, everywhere", args: []string{"get", "introspection", "-A"},
			want: []string{
				"NAME | ISSUER | PROVIDER | READY | REASON | AGE",
				"clusterauthorizationserver.introspection.dev/" + names[serverKind] + " | https://sso.example.com/realms/acme | keycloak | True | Ready | #",
				"NAMESPACE | NAME | SERVER | CLIENT ID | SECRET | READY | REASON | AGE",
				"shop | introspectionclient.introspection.dev/" + names[clientKind] + " | corporate | shop.orders | orders-secret | False | NoTokenClients | #",
				"NAMESPACE | NAME | CLIENT | SCOPES | MAX AGE | READY | REASON | AGE",
				"shop | tokenpolicy.introspection.dev/" + names[policyKind] + ` | orders | ["orders.read"] | 30s | True | Ready | #`,
			},
		},
		"server": {
			reason: "the message too", args: []string{"get", "casrv", "-o", "wide", names[serverKind]},
			want: []string{
				"NAME | ISSUER | PROVIDER | READY | REASON | AGE | MESSAGE",
				names[serverKind] + " | https://sso.example.com/realms/acme | keycloak | True | Ready | # | " + message,
			},
		},
		"client": {
			reason: "the message too", args: []string{"get", "ic", "-n", "shop", "-o", "wide", names[clientKind]},
			want: []string{
				"NAME | SERVER | CLIENT ID | SECRET | READY | REASON | POLICY | AGE | MESSAGE",
				names[clientKind] + " | corporate | shop.orders | orders-secret | False | NoTokenClients | Unknown | # | " + message,
			},
		},
		"policy": {
			reason: "the message too", args: []string{"get", "tp", "-n", "shop", "-o", "wide", names[policyKind]},
			want: []string{
				"NAME | CLIENT | SCOPES | MAX AGE | READY | REASON | AGE | MESSAGE",
				names[policyKind] + ` | orders | ["orders.read"] | 30s | True | Ready | # | ` + message,
			},
		},
		"clients of a server": {
			reason: "a platform team asks before it deletes one", args: []string{"get", "ic", "-A", "--field-selector=spec.authorizationServerRef.name=none"},
			want: []string{"No resources found"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := map[string]bool{}
			rows := table(kubectl(t, "", tc.args...))
			for _, row := range rows {
				got[age.ReplaceAllString(row, "$1 | #")] = true
			}
			for _, want := range tc.want {
				if !got[want] {
					t.Errorf("%s: no line %q in:\n%s", tc.reason, want, strings.Join(rows, "\n"))
				}
			}
		})
	}
}

// TestExplain: what a user reads who has only a terminal.
func TestExplain(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"names at a glance": {
			reason: "fields, values and what is required", args: []string{"introspectionclient.spec.audience", "--recursive"},
			want: `
GROUP:      introspection.dev
KIND:       IntrospectionClient
VERSION:    v1alpha1

FIELD: audience <Object>


DESCRIPTION:
    audience says how tokens come to name this API in ` + "`aud`" + `.
    
FIELDS:
  mode	<string>
  enum: Default, OnRequest, Unmanaged
  tokenClients	<[]string>
`,
		},
		"words": {
			reason: "lines stay whole, bounds are said", args: []string{"ic.spec.secret.name"},
			want: `
GROUP:      introspection.dev
KIND:       IntrospectionClient
VERSION:    v1alpha1

FIELD: name <string>


DESCRIPTION:
    name of the Secret, at most 253 characters; default the object's name.
    Immutable.
    
`,
		},
	}
	published(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := kubectl(t, "", append([]string{"explain"}, tc.args...)...)
			if diff := cmp.Diff(strings.TrimSpace(tc.want), strings.TrimSpace(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// published waits until the API server has published the schemas of our kinds: it does so some time
// after it serves them, one kind after the other.
func published(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := exec.CommandContext(ctx, cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "get", "--raw", "/openapi/v3/apis/introspection.dev/v1alpha1").CombinedOutput()
		text := string(out)
		if err == nil && strings.Contains(text, "/introspectionclients/") && strings.Contains(text, "/tokenpolicies/") && strings.Contains(text, "/clusterauthorizationservers/") {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the schemas are not published: %v", err)
		case <-tick.C:
		}
	}
}

// TestAppliedByKubectl applies as a person does: the second time kubectl must say
// unchanged, and a diff must be empty, for the lists too.
func TestAppliedByKubectl(t *testing.T) {
	t.Parallel()
	for name, texts := range map[string]map[string]string{"minimal": minimal, "maximal": maximal} {
		for which, text := range texts {
			t.Run(name+"/"+which, func(t *testing.T) {
				t.Parallel()
				object := parse(t, text)
				object.SetName(name + "-" + strings.ToLower(which) + "-by-kubectl")
				manifest := manifest(t, object)
				kubectl(t, manifest, "apply", "-f", "-")
				if got := kubectl(t, manifest, "apply", "-f", "-"); !strings.HasSuffix(got, " unchanged\n") {
					t.Errorf("the second apply said: %s", got)
				}
				kubectl(t, manifest, "diff", "-f", "-") // fails if it finds any
			})
		}
	}
}

func manifest(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	data, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
