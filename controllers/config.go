// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers is the control plane: it registers IntrospectionClients at
// authorization servers, writes their Secrets, and reports on all our kinds. It
// also holds the controller that feeds the data plane's snapshot, which runs in
// the webhook's process.
package controllers

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// UsualReplicaLag is far more than a watch takes.
const UsualReplicaLag = 2 * time.Second

// Config of the control plane.
type Config struct {
	// SystemNamespace is the operator's: sign-in credentials, records, the CA's key.
	SystemNamespace string
	// WebhookNamespace is the webhook's: the projections for it, and nothing else.
	WebhookNamespace string
	// Instance marks what this operator owns at authorization servers, and in Secrets.
	Instance string
	// WebhookURL and AuthorizeURL are where the webhook is called, without a slash at the end.
	WebhookURL, AuthorizeURL string
	// ExtAuthzAddress is where Envoy asks the webhook over gRPC, as host:port; TokenReviewURL where
	// API servers do, without a slash at the end. An empty one is not told.
	ExtAuthzAddress, TokenReviewURL string
	// DriftInterval is how often a registration is compared with what is declared.
	DriftInterval time.Duration
	// ReplicaLag is how long the webhook's replicas may take to learn of a credential before it is used.
	ReplicaLag time.Duration
	// Workers is how many clients are reconciled at once.
	Workers int
	// AllowInsecureLoopback permits http issuers on loopback addresses.
	AllowInsecureLoopback bool
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
	// Clock is the time.
	Clock clock.PassiveClock
	// Transport wraps the connections to authorization servers, if set.
	Transport func(http.RoundTripper) http.RoundTripper
}

// CacheOptions is what the control plane's manager may hold in memory: of other
// namespaces' Secrets only ours, and of all of them only the metadata, since
// their data is read live.
func (c Config) CacheOptions() cache.Options {
	ours := labels.SelectorFromSet(labels.Set{credential.LabelManagedBy: credential.ManagedBy})
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{
				c.SystemNamespace:   {},
				c.WebhookNamespace:  {},
				cache.AllNamespaces: {LabelSelector: ours},
			}},
			&corev1.ConfigMap{}: {Namespaces: map[string]cache.Config{c.SystemNamespace: {}}},
		},
	}
}

// WebhookCacheOptions is what the webhook's manager may hold: the Secrets of its
// own namespace.
func WebhookCacheOptions(namespace string) cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{namespace: {}}},
		},
	}
}
