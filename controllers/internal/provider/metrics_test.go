// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// failing is a server of which every call ends in one error.
type failing struct{ err error }

func (f failing) Probe(context.Context) (provider.Report, error) { return provider.Report{}, f.err }

func (f failing) Observe(context.Context, provider.Desired, provider.Caller) (provider.Observation, error) {
	return provider.Observation{}, f.err
}

func (f failing) Create(context.Context, provider.Desired, provider.Caller) (provider.Registration, error) {
	return provider.Registration{}, f.err
}

func (f failing) Update(context.Context, provider.Desired, provider.Observation, provider.Caller) (provider.Registration, error) {
	return provider.Registration{}, f.err
}

func (f failing) Adopt(context.Context, provider.Desired, provider.Caller) (provider.Registration, error) {
	return provider.Registration{}, f.err
}

func (f failing) MapAudience(context.Context, provider.Desired, provider.Caller) (provider.AudienceReport, error) {
	return provider.AudienceReport{}, f.err
}

func (f failing) Rotate(context.Context, provider.Desired, provider.Caller) (provider.Rotation, error) {
	return provider.Rotation{}, f.err
}

func (f failing) Delete(context.Context, provider.Desired, provider.Caller) error { return f.err }

// gathered are the counters, as "operation outcome": value.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			key := strings.Join(labels, " ")
			if strings.HasSuffix(family.GetName(), "_total") {
				out[key] = m.GetCounter().GetValue()
			} else {
				out["seconds "+key] = m.GetHistogram().GetSampleSum()
			}
		}
	}
	return out
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	now := time.Unix(0, 0)
	clock := func() time.Time { now = now.Add(time.Second); return now }
	ctx := t.Context()
	for _, err := range []error{
		nil,
		&provider.Error{Kind: provider.KindConflict},
		&provider.Error{Kind: provider.KindAmbiguous},
		&provider.Error{Kind: provider.KindAccessLost},
		&provider.Error{Kind: provider.KindUnsupported},
		&provider.Error{Kind: provider.KindNotAdoptable},
		fmt.Errorf("wrapped: %w", &provider.Error{Kind: provider.KindRateLimited}),
		&provider.Error{Kind: provider.KindUnreachable, Err: context.Canceled},
		errors.New("the fence"),
	} {
		s := provider.WithMetrics(failing{err}, "keycloak", registry, clock) // many sessions, one registry
		_, got := s.Create(ctx, provider.Desired{}, nil)
		if !errors.Is(got, err) {
			t.Errorf("the error %v became %v", err, got)
		}
	}
	s := provider.WithMetrics(failing{}, "keycloak", registry, clock)
	_, _ = s.Probe(ctx)
	_, _ = s.Observe(ctx, provider.Desired{}, nil)
	_, _ = s.Update(ctx, provider.Desired{}, provider.Observation{}, nil)
	_, _ = s.Adopt(ctx, provider.Desired{}, nil)
	_, _ = s.MapAudience(ctx, provider.Desired{}, nil)
	_, _ = s.Rotate(ctx, provider.Desired{}, nil)
	_ = s.Delete(ctx, provider.Desired{}, nil)
	want := map[string]float64{
		"create success keycloak": 1, "create conflict keycloak": 1, "create rate_limited keycloak": 1, "create cancelled keycloak": 1,
		"create fenced keycloak": 1, "probe success keycloak": 1, "observe success keycloak": 1, "update success keycloak": 1,
		"map_audience success keycloak": 1, "rotate success keycloak": 1, "delete success keycloak": 1, "adopt success keycloak": 1, "seconds adopt keycloak": 1,
		"create ambiguous keycloak": 1, "create access_lost keycloak": 1, "create unsupported keycloak": 1, "create not_adoptable keycloak": 1,
		"seconds create keycloak": 9, "seconds rotate keycloak": 1, "seconds probe keycloak": 1, "seconds observe keycloak": 1, "seconds update keycloak": 1,
		"seconds map_audience keycloak": 1, "seconds delete keycloak": 1,
	}
	if diff := cmp.Diff(want, gathered(t, registry)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
