// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

// unfenced asks nobody before a write.
type unfenced struct{ provider.Caller }

func (unfenced) Fence(context.Context) error { return nil }

// stubborn names a server that breaks the suite's own promise to leave nothing: nobody need tamper with its dialect.
const stubborn = "a server that deletes nothing"

// servers are those that mutants run at, by name.
func servers() map[string]func(t *testing.T) providertest.Harness {
	return map[string]func(t *testing.T) providertest.Harness{"Keycloak": onKeycloak, "RFC 7592": onOAuth, "Duende": onDuende, stubborn: onStubborn}
}

// mutants are all of them, by what they do.
func mutants() map[string]mutant {
	all := map[string]mutant{}
	add := func(at string, some map[string]mutant) {
		for name, m := range some {
			m.at = at
			all[name] = m
		}
	}
	add("Keycloak", observingMutants())
	add("Keycloak", callerMutants())
	add("Keycloak", creationMutants())
	add("Keycloak", accessMutants())
	add("Duende", adoptingMutants())
	add("RFC 7592", oauthMutants())
	add("Duende", duendeMutants())
	add(stubborn, map[string]mutant{"leaves what it made": {row: "create", corrupt: func(b broken) broken { return b }}})
	return all
}

func observingMutants() map[string]mutant {
	return map[string]mutant{
		"reports trouble as absence": {row: "never-absent", corrupt: func(b broken) broken {
			b.observe = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Observation, error) {
				o, err := b.Server.Observe(ctx, d, c)
				if kind, _ := provider.KindOf(err); err != nil && kind == provider.KindUnreachable {
					return provider.Observation{}, nil
				}
				return o, err
			}
			return b
		}},
		"sees no drift": {row: "drift-by-hand", corrupt: func(b broken) broken {
			b.observe = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Observation, error) {
				o, err := b.Server.Observe(ctx, d, c)
				o.Drift = nil
				return o, err
			}
			return b
		}},
		"leaves every client in use": {row: "disable", corrupt: func(b broken) broken {
			b.observe = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Observation, error) {
				d.Disabled = false
				return b.Server.Observe(ctx, d, c)
			}
			return b
		}},
		"calls a deletion that failed done": {row: "exactly-once-delete", corrupt: func(b broken) broken {
			b.remove = func(ctx context.Context, d provider.Desired, c provider.Caller) error {
				err := b.Server.Delete(ctx, d, c)
				if kind, ok := provider.KindOf(err); ok && kind == provider.KindServer {
					return nil
				}
				return err
			}
			return b
		}},
		"deletes what is another's": {row: "other-owner", corrupt: func(b broken) broken {
			b.remove = func(ctx context.Context, d provider.Desired, c provider.Caller) error {
				d.Owner = "suite/shop/other"
				return b.Server.Delete(ctx, d, c)
			}
			return b
		}},
	}
}

func callerMutants() map[string]mutant {
	return map[string]mutant{
		"writes without a fence": {row: "fence-create", corrupt: func(b broken) broken {
			b.create = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
				return b.Server.Create(ctx, d, unfenced{c})
			}
			return b
		}},
		"wraps the caller's error": {row: "fence-delete", corrupt: func(b broken) broken {
			b.remove = func(ctx context.Context, d provider.Desired, c provider.Caller) error {
				err := b.Server.Delete(ctx, d, c)
				if _, ours := provider.KindOf(err); err != nil && !ours {
					return &provider.Error{Op: "delete", Err: err}
				}
				return err
			}
			return b
		}},
		"hears no cancellation": {row: "called-off-create", corrupt: func(b broken) broken {
			b.create = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
				r, err := b.Server.Create(ctx, d, c)
				if errors.Is(err, context.Canceled) {
					return r, &provider.Error{Kind: provider.KindUnreachable, Op: "create"}
				}
				return r, err
			}
			return b
		}},
	}
}

func creationMutants() map[string]mutant {
	return map[string]mutant{
		"shows a secret": {row: "exactly-once-create", corrupt: func(b broken) broken {
			b.create = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
				r, err := b.Server.Create(ctx, d, c)
				if e, ok := errors.AsType[*provider.Error](err); ok {
					e.Detail += d.Credentials.Current.Secret.Reveal()
				}
				return r, err
			}
			return b
		}},
		"takes what is another's": {row: "other-owner", corrupt: func(b broken) broken {
			b.create = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
				r, err := b.Server.Create(ctx, d, c)
				if kind, ok := provider.KindOf(err); ok && kind == provider.KindConflict {
					return r, nil
				}
				return r, err
			}
			return b
		}},
		"forgets how long to wait": {row: "exactly-once-create", corrupt: func(b broken) broken {
			b.create = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
				r, err := b.Server.Create(ctx, d, c)
				if e, ok := errors.AsType[*provider.Error](err); ok {
					e.RetryAfter = 0
				}
				return r, err
			}
			return b
		}},
		"takes a missing right for a bad sign-in": {row: "right-missing", corrupt: func(b broken) broken {
			b.create = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
				r, err := b.Server.Create(ctx, d, c)
				if e, ok := errors.AsType[*provider.Error](err); ok && e.Kind == provider.KindForbidden {
					e.Kind = provider.KindCredentials
				}
				return r, err
			}
			return b
		}},
	}
}

func accessMutants() map[string]mutant {
	return map[string]mutant{
		"claims an overlap": {row: "rotate", corrupt: func(b broken) broken {
			b.rotate = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Rotation, error) {
				r, err := b.Server.Rotate(ctx, d, c)
				r.Overlap = provider.OverlapExpiring
				return r, err
			}
			return b
		}},
		"rotates nothing": {row: "rotate", corrupt: func(b broken) broken {
			b.rotate = func(context.Context, provider.Desired, provider.Caller) (provider.Rotation, error) {
				return provider.Rotation{Rotated: true, Overlap: provider.OverlapNone}, nil
			}
			return b
		}},
		"maps nothing": {row: "audience-default", corrupt: func(b broken) broken {
			b.audience = func(context.Context, provider.Desired, provider.Caller) (provider.AudienceReport, error) {
				return provider.AudienceReport{}, nil
			}
			return b
		}},
		"ignores the cap": {row: "audience-cap-racing", corrupt: func(b broken) broken {
			b.audience = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.AudienceReport, error) {
				d.Audience.MaxPerTokenClient++
				return b.Server.MapAudience(ctx, d, c)
			}
			return b
		}},
		"repairs for ever": {row: "audience-default", corrupt: func(b broken) broken {
			b.audience = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.AudienceReport, error) {
				r, err := b.Server.MapAudience(ctx, d, c)
				r.Repaired = append(r.Repaired, "everything")
				return r, err
			}
			return b
		}},
		"unmaps what is unmanaged": {row: "audience-unmanaged", corrupt: func(b broken) broken {
			b.audience = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.AudienceReport, error) {
				if d.Audience.Mode == provider.AudienceUnmanaged {
					d.Audience.Mode, d.Audience.TokenClients = provider.AudienceDefault, nil
				}
				return b.Server.MapAudience(ctx, d, c)
			}
			return b
		}},
	}
}
