// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

const (
	// confirmPause is how often a replica makes sure that the API server is there.
	confirmPause = 15 * time.Second
	// confirmLimit bounds one question.
	confirmLimit = 10 * time.Second
)

// confirmer finds out whether the snapshot is still what the API server holds. A watch
// that hears nothing looks the same whether nothing changed or nobody answers.
type confirmer struct {
	// reader asks the API server, and no cache.
	reader client.Reader
	clock  clock.PassiveClock
	log    logr.Logger
	// confirm is told when the API server was last known to be there.
	confirm func(at time.Time)
}

// run asks until ctx ends. The first time is at once.
func (c *confirmer) run(ctx context.Context) error {
	for {
		if err := c.ask(ctx); err != nil && ctx.Err() == nil {
			c.log.V(1).Info("the API server does not answer; the webhook goes on by its snapshot", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(jitter(confirmPause)):
		}
	}
}

func (c *confirmer) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, confirmLimit)
	defer cancel()
	at := c.clock.Now() // before it is asked: what changes meanwhile is not known yet
	if err := c.reader.List(ctx, &v1alpha1.TokenPolicyList{}, client.Limit(1)); err != nil {
		return fmt.Errorf("listing a policy: %w", err)
	}
	c.confirm(at)
	return nil
}
