// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const opObserve = "read the client's registration"

// Observe implements provider.Registrar.
func (s *session) Observe(ctx context.Context, d provider.Desired, caller provider.Caller) (provider.Observation, error) {
	st, err := stateOf(opObserve, d.State)
	switch {
	case err != nil:
		return provider.Observation{}, err
	case !st.registered():
		return provider.Observation{}, nil
	case st.Owner != d.Owner:
		return provider.Observation{Exists: true, RegistrationID: st.ClientID, Owner: st.Owner}, nil
	}
	found, err := s.look(ctx, opObserve, d, caller, st)
	if err != nil || !found.exists {
		return provider.Observation{}, err
	}
	if err := s.usable(opObserve, d, &found.st); err != nil {
		return provider.Observation{}, err
	}
	o := provider.Observation{
		Exists: true, RegistrationID: st.ClientID, Owner: d.Owner, Overlap: found.overlap(d), Unmanaged: found.unmanaged(),
		Drift: found.st.drift(asked(s.metadata(d, st.grants())), found.members()),
	}
	if found.otherSecret(d) {
		o.Drift = append(o.Drift, provider.DriftSecret)
	}
	if d.Credentials.Current.Method == provider.ClientSecret {
		s.saw(seen{overlap: o.Overlap})
	}
	return o, nil
}

// found is a registration as it was found.
type found struct {
	st     state
	exists bool
	// live is what the server said; nil where it shows none.
	live map[string]json.RawMessage
}

// members are the managed ones that the server shows. Where it shows none, those that it answered last.
func (f *found) members() members {
	if f.live == nil {
		return f.st.Got
	}
	return answered(f.live)
}

func (f *found) unmanaged() bool { return f.live == nil || f.st.Unmanaged }

// overlap is what a rotation would come to, as far as it is known.
func (f *found) overlap(d provider.Desired) provider.Overlap {
	switch {
	case f.unmanaged():
		return provider.OverlapNone
	case d.Credentials.Current.Method == provider.PrivateKeyJWT:
		return provider.OverlapDual
	default:
		return f.st.Overlap
	}
}

// otherSecret says that the server has a secret that nobody wants it to have. What it is is kept already.
func (f *found) otherSecret(d provider.Desired) bool {
	current := d.Credentials.Current
	if current.Method != provider.ClientSecret || current.Secret == "" || f.st.Secret == "" {
		return false
	}
	return !slices.ContainsFunc(d.Credentials.All(), func(c provider.Credential) bool { return c.Secret.Reveal() == f.st.Secret })
}

// look reads the registration, and keeps what is new in the answer.
func (s *session) look(ctx context.Context, op string, d provider.Desired, caller provider.Caller, st state) (found, error) {
	if !st.manageable() {
		s.saw(seen{remove: provider.Unsupported})
		return s.unseen(ctx, op, st)
	}
	address, err := s.address(op, &st)
	if err != nil {
		return found{st: st}, err
	}
	live := map[string]json.RawMessage{}
	answer, err := s.api.Decode(ctx, provider.Call{
		Op: op, Method: http.MethodGet, URL: address, Bearer: provider.Secret(st.Token), Done: []int{http.StatusOK}, Secrets: st.secrets(),
	}, &live)
	switch {
	case err == nil:
	case isStatus(answer, http.StatusMethodNotAllowed, http.StatusNotImplemented):
		return s.unseen(ctx, op, st)
	case isStatus(answer, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound):
		return found{st: st}, s.refused(ctx, d, caller, &st, answer, err)
	default:
		return found{st: st}, err
	}
	s.saw(seen{read: provider.Supported})
	news, secret, err := st.take(answer)
	if err != nil {
		return found{st: st}, err
	}
	if news {
		if err := st.keep(ctx, caller, secret); err != nil {
			return found{st: st}, err
		}
	}
	return found{st: st, exists: true, live: live}, nil
}

// unseen is a registration that can't be read: it is there, for all that anybody knows. That its credentials are refused
// has other reasons too.
func (s *session) unseen(ctx context.Context, op string, st state) (found, error) {
	if ctx.Err() != nil {
		return found{st: st}, provider.Unreachable(op, ctx.Err())
	}
	s.saw(seen{read: provider.Unsupported, update: provider.Unsupported})
	return found{st: st, exists: true}, nil
}
