// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"net/http"
	"strings"
)

// HTTPHeaders are Headers as net/http has them.
type HTTPHeaders http.Header

var _ Headers = HTTPHeaders(nil)

// Values implements Headers.
func (h HTTPHeaders) Values(name string) []string { return http.Header(h).Values(name) }

// Each implements Headers.
func (h HTTPHeaders) Each(yield func(name string, values []string) bool) {
	for name, values := range h {
		if !yield(name, values) {
			return
		}
	}
}

// Odd implements Headers.
func (h HTTPHeaders) Odd(names []string) string {
	for sent := range h {
		for _, name := range names {
			if IsAlias(sent, name) {
				return name
			}
		}
	}
	return OddOption(h["Connection"], names)
}

// OddOption is the first of names that a Connection header lists, in whatever spelling: a
// proxy would remove ours as a hop-by-hop header (GHSA-w9mr-28mw-j8hg).
func OddOption(connection, names []string) string {
	for _, list := range connection {
		for option := range strings.SplitSeq(list, ",") {
			option = strings.TrimSpace(option)
			for _, name := range names {
				if strings.EqualFold(option, name) || IsAlias(option, name) {
					return name
				}
			}
		}
	}
	return ""
}
