// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const opRotate = "rotate the client's credential"

// Rotate implements provider.Rotator. Keys are ours to choose and stand side by side. A secret is the server's: it is
// asked for another one by an update (RFC 7592 section 2.2), and may keep the one it has.
func (s *session) Rotate(ctx context.Context, d provider.Desired, caller provider.Caller) (provider.Rotation, error) {
	f, err := s.ours(ctx, opRotate, d, caller)
	if err != nil {
		return provider.Rotation{}, err
	}
	if d.Credentials.Current.Method == provider.PrivateKeyJWT {
		return s.rotateKeys(ctx, d, caller, &f)
	}
	return s.rotateSecret(ctx, d, caller, &f)
}

// rotateKeys asks the server about both keys: its answer may name other ones than it goes by, or none.
func (s *session) rotateKeys(ctx context.Context, d provider.Desired, caller provider.Caller, f *found) (provider.Rotation, error) {
	if len(f.st.drift(asked(s.metadata(d, f.st.grants())), f.members())) > 0 {
		if _, err := s.put(ctx, opRotate, d, caller, f, true); err != nil {
			return provider.Rotation{}, err
		}
	}
	kept := provider.Rotation{Overlap: provider.OverlapNone}
	accepted, err := caller.Prove(ctx, d.Credentials.Current)
	if err != nil || !accepted {
		return kept, err
	}
	if len(s.live(d.Credentials)) == 1 {
		d.Credentials.Previous = nil
	}
	overlap, err := s.overlap(ctx, d, caller)
	return provider.Rotation{Rotated: true, Overlap: overlap}, err
}

func (s *session) rotateSecret(ctx context.Context, d provider.Desired, caller provider.Caller, f *found) (provider.Rotation, error) {
	kept := provider.Rotation{Overlap: provider.OverlapNone}
	current := d.Credentials.Current.Secret
	switch {
	case current != "":
		// The server has it, or has another one and can't be told.
		if current.Reveal() != f.st.Secret {
			return kept, nil
		}
	case f.isNew(d):
		// An earlier request was done, and its answer lost: the read has shown the secret, and kept it.
		if err := s.tell(ctx, d, caller, &f.st); err != nil {
			return provider.Rotation{}, err
		}
	case f.live == nil:
		return kept, nil
	default:
		anew, err := s.put(ctx, opRotate, d, caller, f, false)
		if kind, ok := provider.KindOf(err); ok && kind == provider.KindUnsupported {
			return kept, s.remember(ctx, caller, f, provider.OverlapNone)
		}
		if err != nil {
			return provider.Rotation{}, err
		}
		if !anew {
			return kept, s.remember(ctx, caller, f, provider.OverlapNone)
		}
	}
	overlap, err := s.overlap(ctx, d, caller)
	if err != nil {
		return provider.Rotation{}, err
	}
	if d.Credentials.Previous != nil {
		err = s.remember(ctx, caller, f, overlap)
	}
	return provider.Rotation{Rotated: true, Overlap: overlap}, err
}

// isNew says that the server's secret is none that the client had.
func (f *found) isNew(d provider.Desired) bool {
	previous := d.Credentials.Previous
	return previous != nil && previous.Secret != "" && f.st.Secret != "" && previous.Secret.Reveal() != f.st.Secret
}

// overlap asks the server whether the previous credential works on.
func (s *session) overlap(ctx context.Context, d provider.Desired, caller provider.Caller) (provider.Overlap, error) {
	if d.Credentials.Previous == nil {
		return provider.OverlapNone, nil
	}
	accepted, err := caller.Prove(ctx, *d.Credentials.Previous)
	switch {
	case err != nil:
		return "", err
	case accepted:
		return provider.OverlapDual, nil
	default:
		return provider.OverlapNone, nil
	}
}

// remember keeps what a rotation came to, for the next look.
func (s *session) remember(ctx context.Context, caller provider.Caller, f *found, o provider.Overlap) error {
	s.saw(seen{overlap: o})
	if f.st.Overlap == o {
		return nil
	}
	f.st.Overlap = o
	return f.st.keep(ctx, caller, false)
}
