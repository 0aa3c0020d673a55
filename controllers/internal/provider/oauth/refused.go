// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// isOwn says that an answer which is none of 2xx is the server's own: an error as OAuth has them, or a challenge (RFC 6750
// section 3). Proxies refuse too, with their pages.
func isOwn(a *provider.Answer) bool {
	return a.Word() != "" || isStatus(a, http.StatusUnauthorized, http.StatusForbidden) && isChallenge(a.Header)
}

// isChallenge says that a Bearer token is asked for, among other things perhaps.
func isChallenge(h http.Header) bool {
	for _, line := range h.Values("WWW-Authenticate") {
		for challenge := range strings.SplitSeq(line, ",") {
			if words := strings.Fields(challenge); len(words) > 0 && strings.EqualFold(words[0], "Bearer") {
				return true
			}
		}
	}
	return false
}

// refused makes sense of a 401, 403 or 404 where the registration is managed. It tells a registration that is gone, which
// is no error, from one that we have no access to any more: servers answer both alike (RFC 7592 section 2.1). What is
// forbidden is there.
func (s *session) refused(ctx context.Context, d provider.Desired, caller provider.Caller, st *state, answer *provider.Answer, err error) error {
	e, ok := errors.AsType[*provider.Error](err)
	if !ok {
		return err
	}
	said := *e
	said.Subject = st.ClientID
	if !isOwn(answer) {
		said.Kind, said.Err = provider.KindServer, errors.New("that is no word of the server: a proxy's, perhaps")
		return &said
	}
	accepted, unsure := s.accepted(ctx, e.Op, d, caller, st)
	id := provider.Clean(st.ClientID)
	switch {
	case accepted:
		said.Kind, said.Err = provider.KindAccessLost, errors.New("the client is there, and its registration access token is refused")
		said.Advice = fmt.Sprintf("Nothing but the server's own administration can change client %s now. It goes on working. "+
			"To have it managed again, delete it at the server: it is registered anew.", id)
		if e.Op == opDelete {
			said.Advice = fmt.Sprintf("Delete client %s at the server yourself.", id)
		}
		return &said
	case answer.Status == http.StatusForbidden:
		said.Kind, said.Err = provider.KindForbidden, errors.Unwrap(unsure)
		said.Advice = fmt.Sprintf("The server forbids it to the registration access token of client %s (RFC 7592): allow it there, or delete the client there.", id)
		return &said
	default:
		return unsure
	}
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
