// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// maxTime is the end of the year 9999.
const maxTime = 253402300799

var errNoActive = errors.New("the answer has no member active")

// parse normalises an answer. A member that a judgement rests on and that has a form
// which no standard gives it is an error: guessing would be a verdict of ours. Messages
// hold no value: it may be a claim.
func parse(body []byte) (*token.Facts, error) {
	m, err := members(body)
	if err != nil {
		return nil, err
	}
	active, ok := m["active"]
	if !ok {
		return nil, errNoActive
	}
	if string(active) != "true" {
		return &token.Facts{Size: factsSize}, nil
	}
	a := answer{members: m}
	f := &token.Facts{
		Active:    true,
		Issuer:    a.text("iss"),
		ClientID:  a.text("client_id"),
		TokenType: a.text("token_type"),
		Type:      a.text("typ"),
		Subject:   a.textOrUnknown("sub"),
		Username:  a.textOrUnknown("username"),
		ID:        a.textOrUnknown("jti"),
		Audience:  a.list("aud"),
		Scope:     a.scopes(),
		ExpiresAt: a.instant("exp"),
		IssuedAt:  a.instant("iat"),
		NotBefore: a.instant("nbf"),
		AuthTime:  a.instant("auth_time"),
		Bound:     a.has("cnf"),
		Claims:    m,
	}
	if f.ClientID == "" {
		f.ClientID = a.text("azp")
	}
	if f.Issuer == "" && a.has("iss") {
		a.wrong("iss", "an issuer") // present, and equal to none
	}
	if a.err != nil {
		return nil, a.err
	}
	f.Size = size(f)
	return f, nil
}

// answer reads members and keeps the first thing that was wrong.
type answer struct {
	members map[string]json.RawMessage
	err     error
}

func (a *answer) wrong(name, want string) {
	if a.err == nil {
		a.err = fmt.Errorf("the answer's %s is not %s", name, want)
	}
}

// has says that a member is there; null is not there.
func (a *answer) has(name string) bool {
	raw, ok := a.members[name]
	return ok && string(raw) != "null"
}

func (a *answer) text(name string) string {
	s := a.textOrUnknown(name)
	if s == "" && a.has(name) && string(a.members[name]) != `""` {
		a.wrong(name, "a string")
	}
	return s
}

// textOrUnknown is for members that no judgement rests on: some servers number their users.
func (a *answer) textOrUnknown(name string) string {
	var s string
	if !a.has(name) || json.Unmarshal(a.members[name], &s) != nil {
		return ""
	}
	return s
}

// list is a list of strings, or a string as a list of one. Empty ones say nothing.
func (a *answer) list(name string) []string {
	if !a.has(name) {
		return nil
	}
	raw := a.members[name]
	if raw[0] == '"' {
		if s := a.text(name); s != "" {
			return []string{s}
		}
		return nil
	}
	var all []*string // a null in the list must not pass for an empty string
	if json.Unmarshal(raw, &all) != nil {
		a.wrong(name, "a string or a list of strings")
		return nil
	}
	out := make([]string, 0, len(all))
	for _, s := range all {
		switch {
		case s == nil:
			a.wrong(name, "a string or a list of strings")
			return nil
		case *s != "":
			out = append(out, *s)
		}
	}
	return out
}

// scopes are those of scope, else of scp. A string is split at spaces only (RFC 6749
// section 3.3). A space inside a listed one would be two scopes to whom we answer.
func (a *answer) scopes() []string {
	name := "scope"
	if !a.has(name) {
		name = "scp"
	}
	if !a.has(name) {
		return nil
	}
	all := a.list(name)
	if a.members[name][0] == '"' && len(all) == 1 {
		return strings.FieldsFunc(all[0], func(r rune) bool { return r == ' ' })
	}
	for _, s := range all {
		if strings.Contains(s, " ") {
			a.wrong(name, "a list of scopes: one has a space")
			return nil
		}
	}
	return all
}

// instant is a number of seconds since 1970 (RFC 7519 NumericDate).
func (a *answer) instant(name string) time.Time {
	if !a.has(name) {
		return time.Time{}
	}
	raw := string(a.members[name])
	if seconds, err := strconv.ParseInt(raw, 10, 64); err == nil && seconds >= 0 && seconds <= maxTime {
		return time.Unix(seconds, 0)
	}
	// A string is no number here, nor is what ParseFloat takes beyond JSON: raw is JSON.
	seconds, err := strconv.ParseFloat(raw, 64)
	if err != nil || seconds < 0 || seconds > maxTime {
		a.wrong(name, "a number of seconds between 1970 and 9999")
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*float64(time.Second)))
}

// What facts occupy beside their texts, about.
const (
	factsSize  = 512
	memberSize = 96
	stringSize = 32
)

func size(f *token.Facts) int {
	n := factsSize + len(f.Issuer) + len(f.Subject) + len(f.Username) + len(f.ID) + len(f.ClientID) + len(f.TokenType) + len(f.Type)
	for name, raw := range f.Claims {
		n += memberSize + len(name) + len(raw)
	}
	for _, s := range f.Audience {
		n += stringSize + len(s)
	}
	for _, s := range f.Scope {
		n += stringSize + len(s)
	}
	return n
}

// errorCode is the error of an OAuth error answer (RFC 6749 section 5.2); empty if it is
// none.
func errorCode(body []byte) string {
	m, err := members(body)
	if err != nil {
		return ""
	}
	a := answer{members: m}
	return a.text("error")
}
