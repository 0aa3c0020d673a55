// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// listPage is how many ApiResources one call lists; the endpoints give 500 at most.
const listPage = 500

var _ provider.Surveyor = (*Server)(nil)

// Survey implements provider.Surveyor, by the endpoints' list of what bears a mark of this operator.
func (s *Server) Survey(ctx context.Context, desired provider.Desired, within time.Duration) (provider.Sight, bool) {
	instance, _, marked := strings.Cut(desired.Owner, "/")
	if !marked || desired.Credentials.Previous != nil {
		return provider.Sight{}, false
	}
	list, ok := s.listing.Latest(ctx, desired.ClientID, within, func(ctx context.Context) (map[string]*found, int, error) {
		return s.list(ctx, instance+"/")
	})
	if !ok {
		return provider.Sight{}, false
	}
	f, want := list[desired.ClientID], s.wanted(desired)
	if f == nil || !provider.Owns(desired.Owner, f.Owner) || len(want.drift(f)) > 0 {
		return provider.Sight{}, false
	}
	sight := provider.Sight{
		Observation: f.observation(),
		Audience:    provider.AudienceReport{Propagation: f.propagation()},
	}
	if desired.Audience.Mode == provider.AudienceOnRequest {
		sight.Audience.Resource = desired.ClientID
	}
	return sight, true
}

// list reads all that bears a mark which begins so, by name.
func (s *Server) list(ctx context.Context, ownerPrefix string) (map[string]*found, int, error) {
	all, calls := map[string]*found{}, 0
	for offset := 0; ; offset += listPage {
		var page struct {
			Resources *[]*found `json:"resources"`
		}
		answer, err := s.api.Decode(ctx, provider.Call{
			Op: "list ApiResources", Method: http.MethodGet, URL: s.base, Done: []int{http.StatusOK},
			Query: url.Values{"owner_prefix": {ownerPrefix}, "offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(listPage)}},
		}, &page)
		calls++
		switch {
		case err != nil:
			return nil, calls, err
		case page.Resources == nil:
			return nil, calls, answer.Nonsense()
		}
		for _, f := range *page.Resources {
			if f != nil {
				all[f.Name] = f
			}
		}
		if len(*page.Resources) < listPage {
			return all, calls, nil
		}
	}
}
