// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// joined are the headers as Envoy shows them: names in lower case, the values of one name
// joined by commas.
type joined map[string]string

var _ token.Headers = joined(nil)

// Values implements token.Headers.
func (h joined) Values(name string) []string {
	value, ok := h[strings.ToLower(name)]
	if !ok {
		return nil
	}
	return []string{value}
}

// Each implements token.Headers.
func (h joined) Each(yield func(name string, values []string) bool) {
	for name, value := range h {
		if !pseudo(name) && !yield(name, []string{value}) {
			return
		}
	}
}

// Odd implements token.Headers.
func (h joined) Odd(names []string) string {
	for sent := range h {
		for _, name := range names {
			if token.IsAlias(sent, name) {
				return name
			}
		}
	}
	if connection, ok := h["connection"]; ok {
		return token.OddOption([]string{connection}, names)
	}
	return ""
}

// raw are the headers with encode_raw_headers: each value on its own, in the bytes that
// the user sent.
type raw map[string][]string

var _ token.Headers = raw(nil)

func rawOf(sent []*corev3.HeaderValue) raw {
	h := make(raw, len(sent))
	for _, header := range sent {
		value := header.GetValue()
		if value == "" {
			value = string(header.GetRawValue())
		}
		name := strings.ToLower(header.GetKey())
		h[name] = append(h[name], value)
	}
	return h
}

// Values implements token.Headers.
func (h raw) Values(name string) []string { return h[strings.ToLower(name)] }

// Each implements token.Headers.
func (h raw) Each(yield func(name string, values []string) bool) {
	for name, values := range h {
		if !pseudo(name) && !yield(name, values) {
			return
		}
	}
}

// Odd implements token.Headers.
func (h raw) Odd(names []string) string {
	for sent := range h {
		for _, name := range names {
			if token.IsAlias(sent, name) {
				return name
			}
		}
	}
	return token.OddOption(h["connection"], names)
}

// pseudo says that a name is one of HTTP/2's own (:path), which Envoy shows among the headers.
func pseudo(name string) bool { return strings.HasPrefix(name, ":") }

// headersOf are the headers of a request.
func headersOf(r *authv3.AttributeContext_HttpRequest) token.Headers {
	if sent := r.GetHeaderMap().GetHeaders(); len(sent) > 0 {
		return rawOf(sent)
	}
	return joined(r.GetHeaders())
}
