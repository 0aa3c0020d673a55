// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf16"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	opCreate = "create ApiResource"
	opUpdate = "update ApiResource"
	opDelete = "delete ApiResource"
)

// What the endpoints and the server's database hold, in UTF-16 units.
const (
	maxName        = 100
	maxOwner       = 500
	maxDisplayName = 200
	maxSecretID    = 100
)

// Observe implements provider.Registrar.
func (s *Server) Observe(ctx context.Context, desired provider.Desired, _ provider.Caller) (provider.Observation, error) {
	if err := nameable("look up ApiResource", desired.Identity); err != nil {
		return provider.Observation{}, err
	}
	f, err := s.get(ctx, desired.ClientID)
	if f == nil || err != nil {
		return provider.Observation{}, err
	}
	o := f.observation()
	if provider.Owns(desired.Owner, f.Owner) {
		r := s.wanted(desired)
		o.Drift = r.drift(f)
	}
	return o, nil
}

// observation is what there is, without what differs.
func (f *found) observation() provider.Observation {
	return provider.Observation{
		Exists: true, RegistrationID: f.Name, Owner: f.Owner,
		Overlap: provider.OverlapExpiring, Propagation: f.propagation(),
	}
}

// Create implements provider.Registrar. What is there and ours is replaced.
func (s *Server) Create(ctx context.Context, desired provider.Desired, caller provider.Caller) (provider.Registration, error) {
	if err := s.sendable(opCreate, desired); err != nil {
		return provider.Registration{}, err
	}
	f, err := s.put(ctx, opCreate, s.wanted(desired), desired.Credentials, caller)
	return registration(f), err
}

// Update implements provider.Registrar.
func (s *Server) Update(ctx context.Context, desired provider.Desired, observed provider.Observation, caller provider.Caller) (provider.Registration, error) {
	switch {
	case !provider.Owns(desired.Owner, observed.Owner):
		return provider.Registration{}, &provider.Error{Kind: provider.KindConflict, Op: opUpdate, Subject: observed.Owner}
	case len(observed.Drift) == 0:
		return provider.Registration{RegistrationID: observed.RegistrationID, Propagation: observed.Propagation}, nil
	}
	if err := s.sendable(opUpdate, desired); err != nil {
		return provider.Registration{}, err
	}
	f, err := s.own(ctx, opUpdate, desired.Identity)
	if err != nil {
		return provider.Registration{}, err
	}
	r, want := f.asItIs(), s.wanted(desired)
	for _, name := range observed.Drift {
		switch name {
		case fieldDisplayName:
			r.DisplayName = want.DisplayName
		case fieldEnabled:
			r.Enabled = want.Enabled
		case fieldScopes:
			r.Scopes = want.Scopes
		case fieldAudience:
			r.RequireResourceIndicator = want.RequireResourceIndicator
		case provider.DriftSecret:
			r.Secrets = want.Secrets // with their values: one that is there may be another than it says
		}
	}
	f, err = s.put(ctx, opUpdate, r, desired.Credentials, caller)
	return registration(f), err
}

func registration(f *found) provider.Registration {
	if f == nil {
		return provider.Registration{}
	}
	return provider.Registration{RegistrationID: f.Name, Propagation: f.propagation()}
}

// Delete implements provider.Registrar. The endpoints look at the owner mark themselves; what was
// adopted they give back.
func (s *Server) Delete(ctx context.Context, desired provider.Desired, caller provider.Caller) error {
	if desired.Owner == "" {
		return nil // nothing is ours
	}
	if err := nameable(opDelete, desired.Identity); err != nil {
		return err
	}
	defer s.listing.Wrote(desired.ClientID)
	if err := s.restore(ctx, desired, caller); err != nil {
		return err
	}
	answer, err := s.api.Write(ctx, caller, provider.Call{
		Op: opDelete, Method: http.MethodDelete, URL: s.at(desired.ClientID), Query: url.Values{"owner": {desired.Owner}},
		Done: []int{http.StatusNoContent}, Secrets: desired.Credentials.Secrets(),
	})
	if absent(answer) || answer != nil && answer.Status == http.StatusConflict && answer.Word() == errOwnedByOther {
		return nil
	}
	return advised(err)
}

// nameable refuses a name that no registration can have. The dots would be lost on the way.
func nameable(op string, identity provider.Identity) error {
	name := identity.ClientID
	if n := units(name); n == 0 || n > maxName || name == "." || name == ".." {
		return &provider.Error{
			Kind: provider.KindInvalid, Op: op, Err: errors.New("the name of an ApiResource has 1 to 100 characters"),
			Advice: "Give a spec.clientID of at most 100 characters.",
		}
	}
	return nil
}

// sendable refuses what the server would refuse, or would take for something that it is not.
func (s *Server) sendable(op string, desired provider.Desired) error {
	if err := nameable(op, desired.Identity); err != nil {
		return err
	}
	invalid := func(words string) error {
		return &provider.Error{Kind: provider.KindInvalid, Op: op, Err: errors.New(words)}
	}
	switch {
	case desired.Owner == "" || units(desired.Owner) > maxOwner:
		return invalid("an owner mark has 1 to 500 characters")
	case units(desired.DisplayName) > maxDisplayName:
		return invalid("a display name has at most 200 characters")
	}
	var ids []string
	for _, c := range desired.Credentials.At(s.now()).All() {
		if err := supported(op, c.Method); err != nil {
			return err
		}
		if err := c.Check(op); err != nil {
			return err
		}
		if c.ID == "" || units(c.ID) > maxSecretID || slices.Contains(ids, c.ID) {
			return invalid("a credential has no id of its own")
		}
		ids = append(ids, c.ID)
	}
	return nil
}

func supported(op string, method provider.Method) error {
	if slices.Contains(capabilities().Methods, method) {
		return nil
	}
	return &provider.Error{
		Kind: provider.KindUnsupported, Op: op, Err: errors.New("an ApiResource proves itself by a secret or a key of its own, not by " + string(method)),
		Advice: "Set spec.authentication.method to ClientSecret or PrivateKeyJWT.",
	}
}

// units is a length as the server counts it.
func units(text string) int { return len(utf16.Encode([]rune(text))) }
