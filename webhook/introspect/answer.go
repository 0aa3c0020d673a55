// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

var errNoActive = errors.New("the answer has no member active")

// parse normalises an answer. Messages hold no value: it may be a claim.
func parse(body []byte) (*token.Facts, error) {
	m, err := token.Members(body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	active, ok := m["active"]
	if !ok {
		return nil, errNoActive
	}
	if string(active) != "true" {
		return token.Inactive(), nil
	}
	facts, err := token.NewFacts(m)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return facts, nil
}

// errorCode is the error of an OAuth error answer (RFC 6749 section 5.2); empty if it is
// none.
func errorCode(body []byte) string {
	m, err := token.Members(body)
	if err != nil {
		return ""
	}
	var code string
	if json.Unmarshal(m["error"], &code) != nil {
		return ""
	}
	return code
}
