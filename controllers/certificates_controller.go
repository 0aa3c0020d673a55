// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/introspection-dev/introspection-operator/controllers/internal/certificate"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// certificateInterval is how often the certificates are looked at without a reason.
const certificateInterval = time.Hour

// certificateReconciler keeps the operator's certificate authority, in its own
// namespace, and the webhook's serving certificate, in the webhook's.
type certificateReconciler struct {
	config Config
	store  *credential.Store
	clock  clock.PassiveClock
	// changed tells the clients' controller that the bundle is another one.
	changed chan<- clientEvent
	bundle  atomic.Pointer[[]byte]
}

// authorityBundle is the key of the PEM certificates that callers trust.
const authorityBundle = "ca.crt"

// Bundle are the PEM certificates that callers verify the webhook with; empty before there
// are any. A process that started just now reads those that were made before: without them
// it would take away what its clients' statuses say.
func (r *certificateReconciler) Bundle(ctx context.Context) ([]byte, error) {
	if b := r.bundle.Load(); b != nil {
		return *b, nil
	}
	stored, err := r.store.LoadTLS(ctx, r.store.SystemNamespace, credential.AuthorityName)
	if err != nil {
		return nil, err
	}
	bundle := stored.Data[authorityBundle]
	if len(bundle) > 0 {
		r.bundle.CompareAndSwap(nil, &bundle) // what Reconcile knows is newer
	}
	return bundle, nil
}

// Reconcile rolls the authority and renews the serving certificate.
func (r *certificateReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	now := r.clock.Now()
	stored, err := r.store.LoadTLS(ctx, r.store.SystemNamespace, credential.AuthorityName)
	if err != nil {
		return ctrl.Result{}, err
	}
	authority, changed, err := certificate.Roll(certificate.Authority{
		Current: certificate.Pair{Certificate: stored.Data[corev1.TLSCertKey], Key: stored.Data[corev1.TLSPrivateKeyKey]},
		Next:    certificate.Pair{Certificate: stored.Data["next.crt"], Key: stored.Data["next.key"]},
		Bundle:  stored.Data[authorityBundle],
	}, now)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("rolling the certificate authority: %w", err)
	}
	if changed {
		stored.Data = map[string][]byte{
			corev1.TLSCertKey: authority.Current.Certificate, corev1.TLSPrivateKeyKey: authority.Current.Key, authorityBundle: authority.Bundle,
		}
		if len(authority.Next.Certificate) > 0 {
			stored.Data["next.crt"], stored.Data["next.key"] = authority.Next.Certificate, authority.Next.Key
		}
		if err := r.store.SaveTLS(ctx, stored); err != nil {
			return ctrl.Result{}, err
		}
	}
	if old := r.bundle.Swap(&authority.Bundle); old == nil || !slices.Equal(*old, authority.Bundle) {
		select {
		case r.changed <- clientEvent{}:
		case <-ctx.Done():
			return ctrl.Result{}, ctx.Err()
		}
	}
	return ctrl.Result{RequeueAfter: jitter(certificateInterval)}, r.serve(ctx, authority, now)
}

// serve renews the webhook's certificate when it is due.
func (r *certificateReconciler) serve(ctx context.Context, authority certificate.Authority, now time.Time) error {
	stored, err := r.store.LoadTLS(ctx, r.store.WebhookNamespace, credential.ServingName)
	if err != nil {
		return err
	}
	names := servingNames(r.config)
	current := certificate.Pair{Certificate: stored.Data[corev1.TLSCertKey], Key: stored.Data[corev1.TLSPrivateKeyKey]}
	if !certificate.NeedsServing(current, authority, names, now) {
		return nil
	}
	pair, err := certificate.Serve(authority, names, now)
	if err != nil {
		return fmt.Errorf("signing the webhook's certificate: %w", err)
	}
	stored.Data = map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key}
	return r.store.SaveTLS(ctx, stored)
}

// servingNames are the hosts under which the webhook is called.
func servingNames(c Config) []string {
	service := "webhook." + c.WebhookNamespace + ".svc"
	names := []string{service, service + ".cluster.local"}
	for _, raw := range []string{c.WebhookURL, c.AuthorizeURL, "https://" + c.ExtAuthzAddress, c.TokenReviewURL} {
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" {
			continue
		}
		host := u.Hostname()
		if ip := net.ParseIP(host); ip != nil {
			host = ip.String()
		}
		if !slices.Contains(names, host) {
			names = append(names, host)
		}
	}
	return names
}
