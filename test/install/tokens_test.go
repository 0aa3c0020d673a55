// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

var (
	// ours is what the controller labels its clients' accounts with.
	ours   = map[string]string{"app.kubernetes.io/managed-by": "introspection-operator"}
	dryRun = []string{metav1.DryRunAll}
)

// controllerAccounts: it makes and deletes accounts that are its clients', and no other.
func controllerAccounts(t *testing.T, c *cluster) {
	t.Helper()
	controller := c.serviceAccount(t, controllerNamespace, "controller")
	create := func(namespace, name string, labels map[string]string) func(context.Context) error {
		return func(ctx context.Context) error {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
			_, err := controller.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{DryRun: dryRun})
			return err
		}
	}
	remove := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			return controller.CoreV1().ServiceAccounts(webhookNamespace).Delete(ctx, name, metav1.DeleteOptions{DryRun: dryRun})
		}
	}
	clientAccount(t, c, "client-doomed", ours)
	clientAccount(t, c, "client-of-others", nil)
	inForce(t, create(webhookNamespace, "early", ours))
	attempts(t, "makes and deletes no ServiceAccount but", map[string]attempt{
		"a client's":           {"what it is for", create(webhookNamespace, "client-0123", ours), true},
		"without our label":    {"nobody would know whose it is", create(webhookNamespace, "client-0123", nil), false},
		"another name":         {"a name that somebody may give rights to", create(webhookNamespace, "gateway", ours), false},
		"another namespace":    {"not its business", create(tenantNamespace, "client-0123", ours), false},
		"a client's, deleted":  {"with the object", remove("client-doomed"), true},
		"the webhook, deleted": {"an outage", remove("webhook"), false},
		"another's, deleted":   {"the label says whose it is", remove("client-of-others"), false},
	})
}

// operatorTokens: both processes may make tokens, of accounts without rights, for
// authorization servers.
func operatorTokens(t *testing.T, c *cluster) {
	t.Helper()
	const issuer = "https://sso.example.com/realms/acme"
	controller, webhook := c.serviceAccount(t, controllerNamespace, "controller"), c.serviceAccount(t, webhookNamespace, "webhook")
	clientAccount(t, c, "client-probe", ours)
	c.serviceAccount(t, webhookNamespace, "other")
	c.serviceAccount(t, controllerNamespace, "other")
	mint := func(who *kubernetes.Clientset, namespace, name string, audiences ...string) func(context.Context) error {
		return func(ctx context.Context) error { return token(ctx, who, namespace, name, 3600, audiences...) }
	}
	inForce(t, mint(webhook, webhookNamespace, "other", issuer))
	attempts(t, "introspection-operator makes", map[string]attempt{
		"of a client":              {"to introspect with", mint(webhook, webhookNamespace, "client-probe", issuer), true},
		"of a client, to prove it": {"before it is published", mint(controller, webhookNamespace, "client-probe", issuer), true},
		"its own":                  {"to sign in with", mint(controller, controllerNamespace, "controller", issuer), true},
		"on loopback":              {"as issuers may be", mint(webhook, webhookNamespace, "client-probe", "http://127.0.0.1:8080/realms/acme"), true},
		"of the webhook itself":    {"it reads Secrets", mint(webhook, webhookNamespace, "webhook", issuer), false},
		"of the webhook":           {"the same", mint(controller, webhookNamespace, "webhook", issuer), false},
		"of another here":          {"whatever that may do", mint(webhook, webhookNamespace, "other", issuer), false},
		"for the API server":       {"an account must not act there", mint(webhook, webhookNamespace, "client-probe", "https://kubernetes.default.svc.cluster.local"), false},
		"for two":                  {"each could be the client at the other", mint(webhook, webhookNamespace, "client-probe", issuer, "https://id.example.com"), false},
		"for no server":            {"not an issuer", mint(webhook, webhookNamespace, "client-probe", "vault"), false},
		"for a disguised host":     {"http, beyond loopback", mint(webhook, webhookNamespace, "client-probe", "http://127.0.0.1.example.com/"), false},
		"for a day": {"who steals one has it for an hour", func(ctx context.Context) error {
			return token(ctx, webhook, webhookNamespace, "client-probe", 86400, issuer)
		}, false},
		"others are untouched": {"the policy is about the operator only", mint(c.admin, webhookNamespace, "webhook"), true},
	})
	// A server fills in its own audience before it asks the policy, which can't know all of
	// its names. What remains: such a token is nobody.
	for _, namespace := range []string{webhookNamespace, controllerNamespace, tenantNamespace} {
		exactly(t, c, c.serviceAccount(t, webhookNamespace, "client-probe"), namespace)
	}
	if err := mint(controller, controllerNamespace, "other", issuer)(t.Context()); !apierrors.IsForbidden(err) {
		t.Errorf("a token of another account beside the controller: got %v, want Forbidden", err)
	}
	if err := mint(webhook, controllerNamespace, "controller", issuer)(t.Context()); !apierrors.IsForbidden(err) {
		t.Errorf("a token of the controller, by the webhook: got %v, want Forbidden", err)
	}
}

// attempt is what somebody tries, and whether it works.
type attempt struct {
	reason  string
	do      func(context.Context) error
	allowed bool
}

// attempts makes them; those that are refused must be so by the policy with these words.
func attempts(t *testing.T, words string, table map[string]attempt) {
	t.Helper()
	for name, tc := range table {
		t.Run(name, func(t *testing.T) {
			err := tc.do(t.Context())
			switch {
			case tc.allowed && err != nil:
				t.Errorf("%s: %v", tc.reason, err)
			case !tc.allowed && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), words) && !strings.Contains(err.Error(), "cannot create resource")):
				t.Errorf("%s: got %v, want a refusal by the admission policy", tc.reason, err)
			}
		})
	}
}

// inForce waits until a new policy is: the API server takes a moment.
func inForce(t *testing.T, do func(context.Context) error) {
	t.Helper()
	eventually(t, "the admission policy is in force", func(ctx context.Context) (bool, error) { return apierrors.IsForbidden(do(ctx)), nil })
}

func clientAccount(t *testing.T, c *cluster, name string, labels map[string]string) {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := c.admin.CoreV1().ServiceAccounts(webhookNamespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func token(ctx context.Context, who *kubernetes.Clientset, namespace, name string, seconds int64, audiences ...string) error {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds}}
	_, err := who.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	return err
}
