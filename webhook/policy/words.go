// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

const (
	// maxListed and maxWord bound a message: it travels in a header.
	maxListed = 4
	maxWord   = 64
)

// oneOf lists values of which one is needed.
func oneOf(values []string) string {
	if len(values) == 1 {
		return word(values[0])
	}
	return "one of " + listed(values, " or ")
}

// listed are the first few.
func listed(values []string, last string) string {
	words := make([]string, 0, maxListed)
	for _, value := range values[:min(len(values), maxListed)] {
		words = append(words, word(value))
	}
	if len(values) > maxListed {
		return strings.Join(words, ", ") + last + "others"
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + last + words[n-1]
	}
	return strings.Join(words, "")
}

// word is a value of the policy as an error_description may hold it (RFC 6750 section 3).
func word(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case b.Len() == maxWord:
			return b.String() + "..."
		case r < 0x20 || r > 0x7e || r == '"' || r == '\\':
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
