// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	opAdopt    = "adopt ApiResource"
	opGiveBack = "give back ApiResource"
)

// adopted is what the record keeps, to give an ApiResource back as it was. That it was adopted, and which
// secrets are ours, the host keeps itself.
type adopted struct {
	Scopes                   []string `json:"scopes"`
	RequireResourceIndicator bool     `json:"require_resource_indicator"`
}

// Adopt implements provider.Adopter. Our credential stands beside the host's own, which goes on. An
// ApiResource obtains no tokens; what it may look into are its scopes, so they must be those of desired.
func (s *Server) Adopt(ctx context.Context, desired provider.Desired, caller provider.Caller) (provider.Registration, error) {
	if err := s.sendable(opAdopt, desired); err != nil {
		return provider.Registration{}, err
	}
	f, err := s.get(ctx, desired.ClientID)
	switch {
	case err != nil:
		return provider.Registration{}, err
	case f == nil:
		return provider.Registration{}, provider.Meanwhile(opAdopt)
	case desired.Owner == f.Owner:
		return registration(f), nil // marked already, and the answer was lost
	case f.Owner != "":
		return provider.Registration{}, &provider.Error{Kind: provider.KindConflict, Op: opAdopt, Subject: f.Owner}
	}
	if against := against(f, desired); len(against) > 0 {
		return provider.Registration{}, &provider.Error{
			Kind: provider.KindNotAdoptable, Op: opAdopt, Subject: strings.Join(against, ", "),
			Advice: "spec.scopes must name exactly the scopes that it has.",
		}
	}
	kept, err := json.Marshal(adopted{Scopes: f.Scopes, RequireResourceIndicator: f.RequireResourceIndicator})
	if err != nil {
		return provider.Registration{}, &provider.Error{Kind: provider.KindServer, Op: opAdopt}
	}
	if err := caller.Keep(ctx, provider.Issued{Adopted: provider.Secret(kept), Intent: true}); err != nil {
		return provider.Registration{}, err
	}
	r := f.asItIs()
	r.Owner, r.Adopt, r.Secrets = desired.Owner, true, s.wanted(desired).Secrets
	f, err = s.put(ctx, opAdopt, r, desired.Credentials, caller)
	if e, ok := errors.AsType[*provider.Error](err); ok && e.Kind == provider.KindConflict && e.Subject == "" {
		e.Kind, e.Subject, e.Advice = provider.KindNotAdoptable, "the host's option AllowAdoption is off", "Whoever runs the host sets AllowAdoption."
	}
	return registration(f), err
}

// against names what stands against taking an ApiResource over.
func against(f *found, desired provider.Desired) (names []string) {
	if !f.Enabled {
		names = append(names, "disabled")
	}
	for _, scope := range slices.Sorted(slices.Values(slices.Concat(f.Scopes, desired.Scopes))) {
		if slices.Contains(f.Scopes, scope) != slices.Contains(desired.Scopes, scope) {
			names = append(names, "scope "+scope)
		}
	}
	return names
}

// restore makes an adopted ApiResource what it was, but for the marks and secrets, which the host takes off
// itself.
func (s *Server) restore(ctx context.Context, desired provider.Desired, caller provider.Caller) error {
	var was adopted
	if desired.Adopted == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(desired.Adopted.Reveal()), &was); err != nil {
		return nil //nolint:nilerr // nobody knows what it was: it is given back without
	}
	f, err := s.get(ctx, desired.ClientID)
	if err != nil || f == nil || !f.Adopted || !provider.Owns(desired.Owner, f.Owner) {
		return err
	}
	r := f.asItIs()
	if !sameSet(was.Scopes, f.Scopes) {
		r.Scopes = append([]string{}, was.Scopes...)
	}
	if was.RequireResourceIndicator != f.RequireResourceIndicator {
		r.RequireResourceIndicator = &was.RequireResourceIndicator
	}
	if r.Scopes == nil && r.RequireResourceIndicator == nil {
		return nil
	}
	_, err = s.put(ctx, opGiveBack, r, desired.Credentials, caller)
	return err
}
