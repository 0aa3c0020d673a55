// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxTime is the end of the year 9999.
const maxTime = 253402300799

// answer reads members and keeps the first thing that was wrong.
type answer struct {
	members map[string]json.RawMessage
	err     error
}

func (a *answer) wrong(name, want string) {
	if a.err == nil {
		a.err = fmt.Errorf("its %s is not %s", name, want)
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
	if !a.has(name) {
		return ""
	}
	return unquote(a.members[name])
}

// unquote is a JSON string's value, empty of anything else; one without escapes is copied
// as it stands.
func unquote(raw json.RawMessage) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
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

func size(f *Facts) int {
	n := factsSize + len(f.Issuer) + len(f.Subject) + len(f.Username) + len(f.ID) + len(f.ClientID) + len(f.TokenType) + len(f.Type) + len(f.ACR) + len(f.JKT) + len(f.X5T)
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
