// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest_test

import (
	"context"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// excusing takes an error of a kind for success.
func excusing(row string, excused provider.Kind) mutant {
	return mutant{row: row, corrupt: func(b broken) broken {
		b.adopt = func(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
			r, err := b.Server.Adopt(ctx, d, c)
			if kind, ok := provider.KindOf(err); ok && kind == excused {
				return r, nil
			}
			return r, err
		}
		return b
	}}
}

func adoptingMutants() map[string]mutant {
	return map[string]mutant{
		"calls a refused adoption done": excusing("adopt-refused", provider.KindNotAdoptable),
		"adopts what is another's":      excusing("adopt-other", provider.KindConflict),
		"adopts nothing": {row: "adopt", corrupt: func(b broken) broken {
			b.adopt = func(_ context.Context, d provider.Desired, _ provider.Caller) (provider.Registration, error) {
				return provider.Registration{RegistrationID: d.ClientID}, nil
			}
			return b
		}},
		"keeps what it adopted": {row: "adopt", corrupt: func(b broken) broken {
			b.remove = func(ctx context.Context, d provider.Desired, c provider.Caller) error {
				if d.Adopted == "" {
					return b.Server.Delete(ctx, d, c)
				}
				return nil // the mark stays: the client is nobody's to use
			}
			return b
		}},
	}
}
