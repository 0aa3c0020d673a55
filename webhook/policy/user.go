// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	maxAPIAudiences = 8
	maxExtra        = 8
	// maxUsername bounds a user's name, a group's, and a value of extra, in bytes.
	maxUsername = 1024
	// maxGroups bounds the groups of a user, and the values of one key of extra.
	maxGroups = 100
)

// review maps a token to a user of the API server.
type review struct {
	// audiences are the API server's that the policy answers for.
	audiences []string
	username  *expression
	// groups is nil for none.
	groups *expression
	extra  []extra
}

type extra struct {
	key   string
	value *expression
}

// User maps a token that Judge allowed to a user of the API server, as the policy says,
// without the platform's prefixes. asked are the audiences of the TokenReview: the user's
// are those of the policy among them, never none, since none means "good for the API
// server". A refusal says that there is no such user, or no such audience.
//
// No name begins with system:, in any case and whatever the expressions say: Kubernetes
// gives such users and groups rights of its own.
func (p *Policy) User(f *token.Facts, asked []string) (*token.User, *token.Decision) {
	if p.review == nil {
		return nil, noUser("The policy maps no token to a user.")
	}
	var audiences []string
	for _, audience := range p.review.audiences {
		if slices.Contains(asked, audience) {
			audiences = append(audiences, audience)
		}
	}
	if len(audiences) == 0 {
		return nil, deny(token.ReasonAudienceNotAsked, "The policy answers for none of the audiences that were asked for.")
	}
	if p.Prepare() != nil {
		return nil, noUser("An expression of the policy does not compile.")
	}
	on, err := claimsOf(f)
	if err != nil {
		return nil, noUser("The token says too much to be mapped to a user.")
	}
	user, problem := p.review.user(on)
	if problem != "" {
		return nil, noUser(problem)
	}
	user.Audiences = audiences
	return user, nil
}

func noUser(message string) *token.Decision {
	return deny(token.ReasonInvalidUser, message)
}

// user says what is wrong with the token's, or nothing.
func (r *review) user(on *activation) (user *token.User, problem string) {
	value, _, err := r.username.eval(on)
	if err != nil {
		return nil, "The expression username could not be evaluated for this token."
	}
	name, ok := value.(types.String)
	if !ok || !isName(string(name)) || isReserved(string(name)) {
		return nil, "The expression username gives no name of a user: it must be a string, not empty, and not begin with system:."
	}
	user = &token.User{Username: string(name)}
	if r.groups != nil {
		if value, _, err = r.groups.eval(on); err != nil {
			return nil, "The expression groups could not be evaluated for this token."
		}
		if user.Groups, ok = stringsOf(value); !ok || !areGroups(user.Groups) {
			return nil, "The expression groups gives no list of groups: at most 100 strings, none empty or beginning with system:."
		}
	}
	for _, e := range r.extra {
		values, ok := e.values(on)
		if !ok {
			return nil, "The expression of the extra key " + e.key + " gives no string or list of strings for this token."
		}
		if len(values) == 0 {
			continue
		}
		if user.Extra == nil {
			user.Extra = make(map[string][]string, len(r.extra))
		}
		user.Extra[e.key] = values
	}
	return user, ""
}

func (e *extra) values(on *activation) ([]string, bool) {
	value, _, err := e.value.eval(on)
	if err != nil {
		return nil, false
	}
	values, ok := texts(value)
	return values, ok && len(values) <= maxGroups && !slices.ContainsFunc(values, func(s string) bool { return len(s) > maxUsername })
}

// texts are a string as a list of one, or a list of strings.
func texts(v ref.Val) ([]string, bool) {
	if s, ok := v.(types.String); ok {
		return []string{string(s)}, true
	}
	return stringsOf(v)
}

func areGroups(groups []string) bool {
	return len(groups) <= maxGroups && !slices.ContainsFunc(groups, func(s string) bool { return !isName(s) || isReserved(s) })
}

// isName is one that logs and role bindings show as it is.
func isName(s string) bool {
	return s != "" && len(s) <= maxUsername && utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// isReserved is Kubernetes' own.
func isReserved(s string) bool {
	const reserved = "system:"
	return len(s) >= len(reserved) && lower(s[:len(reserved)]) == reserved
}
