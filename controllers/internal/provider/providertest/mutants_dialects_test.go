// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// unmarked keeps what a server answered, and no word of what is about to be asked.
type unmarked struct{ provider.Caller }

func (u unmarked) Keep(ctx context.Context, issued provider.Issued) error {
	if issued.ClientID == "" && issued.Secret == "" {
		return nil
	}
	return u.Caller.Keep(ctx, issued)
}

// forgetful keeps nothing, and says that it did.
type forgetful struct{ provider.Caller }

func (forgetful) Keep(context.Context, provider.Issued) error { return nil }

// goneBy is a mutant that takes an error for an absence.
func goneBy(row string, gone func(ctx context.Context, e *provider.Error, d provider.Desired, c provider.Caller) bool) mutant {
	return mutant{row: row, corrupt: func(b broken) broken {
		b.observe = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Observation, error) {
			o, err := b.Server.Observe(ctx, d, c)
			if e, ok := errors.AsType[*provider.Error](err); ok && gone(ctx, e, d, c) {
				return provider.Observation{}, nil
			}
			return o, err
		}
		return b
	}}
}

// noting notes that a write was about to be done.
type noting struct {
	provider.Caller

	wrote *bool
}

func (n noting) Fence(ctx context.Context) error {
	*n.wrote = true
	return n.Caller.Fence(ctx)
}

// withToken is what was kept of a registration, with another access to it.
func withToken(state provider.Secret, token string) provider.Secret {
	var kept map[string]any
	if err := json.Unmarshal([]byte(state.Reveal()), &kept); err != nil {
		panic(err) // the provider wrote it
	}
	kept["token"] = token
	encoded, err := json.Marshal(kept)
	if err != nil {
		panic(err)
	}
	return provider.Secret(encoded)
}

// oauthMutants break what is particular to servers that choose ids, secrets and the access to a registration.
func oauthMutants() map[string]mutant {
	return map[string]mutant{
		"marks no creation": {row: "exactly-once-create", corrupt: func(b broken) broken {
			b.create = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
				return b.Server.Create(ctx, d, unmarked{c})
			}
			return b
		}},
		"takes a 401 for a deletion": goneBy("access-lost", func(_ context.Context, e *provider.Error, _ provider.Desired, _ provider.Caller) bool {
			return e.Status == http.StatusUnauthorized
		}),
		"takes a proxy's word for a deletion": goneBy("proof", func(ctx context.Context, e *provider.Error, d provider.Desired, c provider.Caller) bool {
			accepted, err := c.Prove(ctx, d.Credentials.Current)
			return e.Status == http.StatusUnauthorized && err == nil && !accepted
		}),
		"loses its access when called off": {row: "called-off-update", corrupt: func(b broken) broken {
			b.update = func(ctx context.Context, d provider.Desired, o provider.Observation, c provider.Caller) (provider.Registration, error) {
				wrote := false
				r, err := b.Server.Update(ctx, d, o, noting{c, &wrote})
				if wrote && errors.Is(err, context.Canceled) {
					return r, errors.Join(err, c.Keep(context.WithoutCancel(ctx), provider.Issued{State: withToken(d.State, "another")}))
				}
				return r, err
			}
			return b
		}},
		"keeps no new access": {row: "drift", corrupt: func(b broken) broken {
			b.update = func(ctx context.Context, d provider.Desired, o provider.Observation, c provider.Caller) (provider.Registration, error) {
				return b.Server.Update(ctx, d, o, forgetful{c})
			}
			return b
		}},
	}
}

// duendeMutants break what is particular to endpoints that put a whole registration.
func duendeMutants() map[string]mutant {
	return map[string]mutant{
		"leaves the old secret out": {row: "rotate", corrupt: func(b broken) broken {
			b.rotate = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Rotation, error) {
				overlap := provider.OverlapNone
				if d.Credentials.Previous != nil {
					overlap = provider.OverlapExpiring
				}
				d.Credentials.Previous = nil
				r, err := b.Server.Rotate(ctx, d, c)
				r.Overlap = overlap
				return r, err
			}
			return b
		}},
		"compares no owner": {row: "other-owner", corrupt: func(b broken) broken {
			b.create = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
				r, err := b.Server.Create(ctx, d, c)
				if e, ok := errors.AsType[*provider.Error](err); ok && e.Kind == provider.KindConflict {
					d.Owner = e.Subject
					return b.Server.Create(ctx, d, c)
				}
				return r, err
			}
			return b
		}},
		"takes any 404 for an absence": goneBy("never-absent", func(_ context.Context, e *provider.Error, _ provider.Desired, _ provider.Caller) bool {
			return e.Status == http.StatusNotFound
		}),
	}
}
