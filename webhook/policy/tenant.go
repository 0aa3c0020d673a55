// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"slices"
)

// tenant that is needed, in a claim.
type tenant struct {
	claim  string
	values []string
}

// holds says that a claim is one of the tenants: a string, or a list that has one.
func (t *tenant) holds(raw json.RawMessage) bool {
	switch {
	case len(raw) < 2:
		return false
	case raw[0] == '[':
		var all []json.RawMessage
		return json.Unmarshal(raw, &all) == nil && slices.ContainsFunc(all, t.is)
	}
	return t.is(raw)
}

// is compares a JSON string; one without escapes where it is.
func (t *tenant) is(raw json.RawMessage) bool {
	if len(raw) < 2 || raw[0] != '"' {
		return false
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		var s string
		return json.Unmarshal(raw, &s) == nil && slices.Contains(t.values, s)
	}
	return slices.ContainsFunc(t.values, func(value string) bool { return string(raw[1:len(raw)-1]) == value })
}
