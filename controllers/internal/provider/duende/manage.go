// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	opMap    = "map audience"
	opRotate = "rotate credential"
)

// MapAudience implements provider.AudienceMapper. Every enabled ApiResource of a token's scopes is in
// its `aud`, but those that have to be asked for by name (RFC 8707).
func (s *Server) MapAudience(ctx context.Context, desired provider.Desired, caller provider.Caller) (provider.AudienceReport, error) {
	report := provider.AudienceReport{}
	switch desired.Audience.Mode {
	case provider.AudienceUnmanaged:
		return report, nil
	case provider.AudienceOnRequest:
		if !provider.IsResource(desired.ClientID) {
			return report, &provider.Error{
				Kind: provider.KindInvalid, Op: opMap, Err: errors.New("clients ask for it with resource=, which takes an absolute URI only (RFC 8707 section 2)"),
				Advice: "Set spec.audience.mode Default, or make a new object whose spec.clientID is a URI such as https://orders.example.com.",
			}
		}
		report.Resource = desired.ClientID
	case provider.AudienceDefault:
	}
	f, err := s.own(ctx, opMap, desired.Identity)
	if err != nil {
		return provider.AudienceReport{}, err
	}
	report.Propagation = f.propagation()
	want, r := s.wanted(desired), f.asItIs()
	for _, name := range want.drift(f) {
		switch name {
		case fieldScopes:
			r.Scopes = want.Scopes
		case fieldAudience:
			r.RequireResourceIndicator = want.RequireResourceIndicator
		default:
			continue // not this method's concern
		}
		report.Repaired = append(report.Repaired, name)
	}
	if len(report.Repaired) == 0 {
		return report, nil
	}
	if f, err = s.put(ctx, opMap, r, desired.Credentials, caller); err != nil {
		return provider.AudienceReport{}, err
	}
	report.Propagation = f.propagation()
	return report, nil
}

// Rotate implements provider.Rotator. Secrets and keys stand side by side, each with an end of its own.
func (s *Server) Rotate(ctx context.Context, desired provider.Desired, caller provider.Caller) (provider.Rotation, error) {
	if err := s.sendable(opRotate, desired); err != nil {
		return provider.Rotation{}, err
	}
	f, err := s.own(ctx, opRotate, desired.Identity)
	if err != nil {
		return provider.Rotation{}, err
	}
	want := s.wanted(desired)
	if slices.Contains(want.drift(f), provider.DriftSecret) {
		r := f.asItIs()
		r.Secrets = known(want.Secrets, f.Secrets)
		if f, err = s.put(ctx, opRotate, r, desired.Credentials, caller); err != nil {
			return provider.Rotation{}, err
		}
	}
	rotation := provider.Rotation{Rotated: true, Overlap: provider.OverlapNone, Propagation: f.propagation()}
	if desired.Credentials.At(s.now()).Previous != nil {
		rotation.Overlap = provider.OverlapExpiring
	}
	return rotation, nil
}

// nobody is an owner prefix that no mark begins with: marks begin with an instance's name.
const nobody = "/"

// Probe implements provider.Prober. One policy guards all of the endpoints: who may list may register.
func (s *Server) Probe(ctx context.Context) (provider.Report, error) {
	report := provider.Report{Rights: provider.RightsUnknown, Capabilities: capabilities(), RegistrationURL: s.base}
	s.tokens.Forget("") // credentials and rights as they are now
	var page struct {
		Resources *[]struct{} `json:"resources"`
	}
	answer, err := s.api.Decode(ctx, provider.Call{
		Op: "register ApiResources", Method: http.MethodGet, URL: s.base,
		Query: url.Values{"owner_prefix": {nobody}, "limit": {"1"}}, Done: []int{http.StatusOK},
	}, &page)
	if err != nil {
		return report, advised(err)
	}
	if page.Resources == nil {
		nonsense := answer.Nonsense()
		nonsense.Kind, nonsense.Advice = provider.KindNotFound, adviceFile
		return report, nonsense
	}
	report.Rights = provider.RightsManage
	return report, nil
}
