// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		Exists: true, RegistrationID: st.ClientID, Owner: d.Owner, Overlap: found.overlap(d), Unmanaged: found.live == nil,
		Drift: found.st.drift(asked(s.metadata(d, st.grants())), found.members()),
	}
	if found.otherSecret(d) {
		o.Drift = append(o.Drift, provider.DriftSecret)
	}
	s.saw(o.Overlap, found.managed())
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

func (f *found) managed() provider.Support {
	if f.live == nil {
		return provider.Unsupported
	}
	return provider.Supported
}

// overlap is what a rotation would come to, as far as it is known.
func (f *found) overlap(d provider.Desired) provider.Overlap {
	switch {
	case f.live == nil:
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
		return s.unseen(ctx, op, d, caller, st)
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
		return s.unseen(ctx, op, d, caller, st)
	case isStatus(answer, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound):
		return found{st: st}, s.goneOrLost(ctx, d, caller, &st, err)
	default:
		return found{st: st}, err
	}
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

// unseen is a registration that can't be read: it is there as long as its credentials are not refused.
func (s *session) unseen(ctx context.Context, op string, d provider.Desired, caller provider.Caller, st state) (found, error) {
	accepted, err := s.accepted(ctx, op, d, caller, &st)
	if ctx.Err() != nil {
		return found{st: st}, provider.Unreachable(op, ctx.Err())
	}
	return found{st: st, exists: accepted || err != nil}, nil
}

// goneOrLost tells a registration that is gone, which is no error, from one that we have no access to any more: servers
// answer both alike (RFC 7592 section 2.1).
func (s *session) goneOrLost(ctx context.Context, d provider.Desired, caller provider.Caller, st *state, refused error) error {
	e, ok := errors.AsType[*provider.Error](refused)
	if !ok {
		return refused
	}
	accepted, err := s.accepted(ctx, e.Op, d, caller, st)
	if err != nil || !accepted {
		return err
	}
	lost := *e
	lost.Kind, lost.Subject = provider.KindAccessLost, st.ClientID
	lost.Err = errors.New("the client is there, and its registration access token is refused")
	lost.Advice = fmt.Sprintf("Nothing but the server's own administration can change client %s now. It goes on working. "+
		"To have it managed again, delete it at the server: it is registered anew.", provider.Clean(st.ClientID))
	if lost.Op == opDelete {
		lost.Advice = fmt.Sprintf("Delete client %s at the server yourself, or set deletionPolicy: Retain.", provider.Clean(st.ClientID))
	}
	return &lost
}

// accepted says whether the server takes any credential that the client may have. Nobody knows without one.
func (s *session) accepted(ctx context.Context, op string, d provider.Desired, caller provider.Caller, st *state) (bool, error) {
	var all []provider.Credential
	known := false
	for _, c := range d.Credentials.All() {
		if c.Method == provider.ClientSecret && c.Secret == "" {
			continue // the server is to choose it
		}
		known = known || c.Secret.Reveal() == st.Secret
		all = append(all, c)
	}
	if st.Secret != "" && !known {
		all = append(all, st.credential())
	}
	unsure := errors.New("no credential to ask with")
	for _, c := range all {
		accepted, err := caller.Prove(ctx, c)
		if accepted && err == nil {
			return true, nil
		}
		unsure = err
		if err != nil {
			break
		}
	}
	if unsure == nil {
		return false, nil
	}
	e := &provider.Error{Kind: provider.KindServer, Op: op, Err: fmt.Errorf("finding out whether the client is still there: %w", unsure)}
	if cause, ok := errors.AsType[*provider.Error](unsure); ok {
		e.RetryAfter = cause.RetryAfter
	}
	return false, e
}

func isStatus(a *provider.Answer, statuses ...int) bool {
	return a != nil && slices.Contains(statuses, a.Status)
}
