// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"context"
	"net/http"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// get reads a registration; nil if the endpoints say that there is none.
func (s *Server) get(ctx context.Context, name string) (*found, error) {
	var f found
	answer, err := s.api.Decode(ctx, provider.Call{
		Op: "look up ApiResource", Method: http.MethodGet, URL: s.at(name), Done: []int{http.StatusOK},
	}, &f)
	switch {
	case absent(answer):
		return nil, nil
	case err != nil:
		return nil, advised(err)
	case !strings.EqualFold(f.Name, name): // a database may take case for nothing
		return nil, answer.Nonsense()
	}
	return &f, nil
}

// own is get, for what must be there and ours.
func (s *Server) own(ctx context.Context, op string, identity provider.Identity) (*found, error) {
	f, err := s.get(ctx, identity.ClientID)
	switch {
	case err != nil:
		return nil, err
	case f == nil:
		return nil, provider.Meanwhile(op)
	case !provider.Owns(identity.Owner, f.Owner):
		return nil, &provider.Error{Kind: provider.KindConflict, Op: op, Subject: f.Owner}
	}
	return f, nil
}

// put writes a registration. If that may have been done in spite of the answer, it looks.
func (s *Server) put(ctx context.Context, op string, r resource, credentials provider.Credentials, caller provider.Caller) (*found, error) {
	defer s.listing.Wrote(r.Name)
	if err := caller.Fence(ctx); err != nil {
		return nil, err
	}
	var written found
	answer, err := s.api.Decode(ctx, provider.Call{
		Op: op, Method: http.MethodPut, URL: s.at(r.Name), In: r,
		Done: []int{http.StatusOK, http.StatusCreated}, Secrets: credentials.Secrets(),
	}, &written)
	if err == nil && (written.Name != r.Name || written.Owner != r.Owner) {
		err = answer.Nonsense()
	}
	switch {
	case err == nil && answer.Status == http.StatusCreated && op != opCreate:
		return nil, provider.Meanwhile(op) // made anew, without what was not sent: the next look shows it
	case err == nil:
		return &written, nil
	}
	err = advised(adviseOnScopes(answer, err, r.Scopes))
	if !unsure(err) {
		return nil, err
	}
	live, lookErr := s.get(ctx, r.Name)
	switch {
	case lookErr != nil:
		return nil, err
	case live == nil:
		return nil, meanwhile(err)
	case !provider.Owns(r.Owner, live.Owner):
		return nil, &provider.Error{Kind: provider.KindConflict, Op: op, Status: status(answer), Subject: live.Owner}
	case len(r.drift(live)) == 0:
		return live, nil
	}
	return nil, meanwhile(err)
}
