// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// activation is what an expression may read. What is not known is not there: a rule that
// reads it can't be evaluated, and refuses.
type activation struct {
	claims ref.Val
	http   *token.HTTPRequest
	// headers are made when they are first read.
	headers map[string]string
}

var _ cel.Activation = (*activation)(nil)

// Parent implements cel.Activation.
func (*activation) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	if name == "claims" {
		return a.claims, true
	}
	if a.http == nil {
		return nil, false
	}
	path, query, _ := strings.Cut(a.http.Target, "?")
	switch name {
	case "request.method":
		return a.http.Method, a.http.Method != ""
	case "request.host":
		host := lower(hostOf(a.http.Host))
		return host, host != ""
	case "request.path":
		return path, path != ""
	case "request.query":
		return query, path != ""
	case "request.headers":
		if a.headers == nil {
			a.headers = shown(a.http.Headers)
		}
		return a.headers, true
	}
	return nil, false
}

// shown are the headers by lower-case name, without credentials: a rule's verdict would
// tell whoever writes it about them, one guess at a time.
func shown(headers token.Headers) map[string]string {
	all := map[string]string{}
	if headers == nil {
		return all
	}
	sent := map[string][]string{}
	headers.Each(func(name string, values []string) bool {
		if !isCredential(lower(name)) {
			sent[name] = values
		}
		return true
	})
	names := make([]string, 0, len(sent))
	for name := range sent {
		names = append(names, name)
	}
	slices.Sort(names) // one that was sent in two spellings has one order
	for _, name := range names {
		value := strings.Join(sent[name], ", ")
		if before, twice := all[lower(name)]; twice {
			value = before + ", " + value
		}
		all[lower(name)] = value
	}
	return all
}

// isCredential says that a header proves who somebody is: the user, a proxy, the gateway.
func isCredential(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "dpop", "cookie":
		return true
	default:
		return strings.HasPrefix(name, "introspection-")
	}
}

// lower is of ASCII only: a Kelvin sign is no k.
func lower(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if b[j] >= 'A' && b[j] <= 'Z' {
					b[j] |= 0x20
				}
			}
			return string(b)
		}
	}
	return s
}
