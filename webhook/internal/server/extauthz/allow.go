// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"net/http"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// The fields of an allow, by number. Its encoding is written by hand: what most answers
// are is half as dear as with the generated types, which the tests hold it to.
const (
	responseStatus   protowire.Number = 1 // CheckResponse
	responseOK       protowire.Number = 3
	responseMetadata protowire.Number = 4

	okHeaders         protowire.Number = 2 // OkHttpResponse
	okRemove          protowire.Number = 5
	okResponseHeaders protowire.Number = 6

	first  protowire.Number = 1 // HeaderValueOption.header, HeaderValue.key, Struct.fields and its entry's key
	second protowire.Number = 2 // HeaderValue.value, the value of an entry of Struct.fields

	valueString protowire.Number = 3 // google.protobuf.Value
)

const (
	// allowSize is what an allow has beside its headers, in bytes, about.
	allowSize = 256
	// aliasSize is how much longer its other spellings make a header's name.
	aliasSize = 10
	// overwrite is append_action: OVERWRITE_IF_EXISTS_OR_ADD, and keep_empty_value: true,
	// at the end of a HeaderValueOption. A header that is not replaced, by an empty value
	// too, stays the client's own (measured).
	overwrite = "\x18\x02\x20\x01"
)

// allowed lets a request go on with every configured header, once each, and without any
// other spelling of them. Decision and policy are dynamic metadata, for Envoy's access
// log; no claim is.
func allowed(q *question, headers []token.Header) *outgoing {
	size := allowSize
	for i := range headers {
		size += aliasSize*len(headers[i].Name) + len(headers[i].Value)
	}
	buffer := make([]byte, 0, 2*size) // inner and outer, one after the other
	ok := buffer
	for i := range headers {
		ok = appendHeader(ok, okHeaders, headers[i].Name, headers[i].Value)
	}
	ok = appendText(ok, okRemove, server.HeaderGateway)
	for i := range headers {
		ok = appendAliases(ok, headers[i].Name)
	}
	ok = appendHeader(ok, okResponseHeaders, server.HeaderDecision, q.call.ID)

	out := ok[len(ok):]
	out = appendText(out, responseStatus, "") // code OK
	out = protowire.AppendTag(out, responseOK, protowire.BytesType)
	out = protowire.AppendBytes(out, ok)
	metadata := sizeEntry("decision", q.call.ID) + sizeEntry("policy", q.policy)
	out = appendLength(out, responseMetadata, metadata)
	out = appendEntry(out, "decision", q.call.ID)
	out = appendEntry(out, "policy", q.policy)
	return &outgoing{encoded: out, code: http.StatusOK}
}

func appendLength(b []byte, field protowire.Number, length int) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(length)) //nolint:gosec // a length
}

func appendText(b []byte, field protowire.Number, text string) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, text)
}

func sizeText(text string) int { return 1 + protowire.SizeBytes(len(text)) }

// appendHeader appends a HeaderValueOption.
func appendHeader(b []byte, field protowire.Number, name, value string) []byte {
	header := sizeText(name)
	if value != "" {
		header += sizeText(value)
	}
	b = appendLength(b, field, 1+protowire.SizeBytes(header)+len(overwrite))
	b = appendLength(b, first, header)
	b = appendText(b, first, name)
	if value != "" {
		b = appendText(b, second, value)
	}
	return append(b, overwrite...)
}

// appendEntry appends an entry of a Struct: a string.
func appendEntry(b []byte, key, text string) []byte {
	value := sizeText(text)
	b = appendLength(b, first, sizeText(key)+1+protowire.SizeBytes(value))
	b = appendText(b, first, key)
	b = appendLength(b, second, value)
	return appendText(b, valueString, text)
}

func sizeEntry(key, text string) int {
	return 1 + protowire.SizeBytes(sizeText(key)+1+protowire.SizeBytes(sizeText(text)))
}

// maxMixed bounds the hyphens of a name whose mixed spellings are listed: 2^3.
const maxMixed = 3

// appendAliases appends other spellings of a header's name to headers_to_remove: CGI and
// its heirs read x_auth_subject as X-Auth-Subject, and Envoy lets it pass. The engine
// refuses a request that shows one, in any spelling; this is for those that the gateway
// was configured not to show us (allowed_headers). All mixtures of hyphen and underscore
// are named up to three hyphens, beyond only underscores for all; and dots for all.
func appendAliases(b []byte, name string) []byte {
	hyphens := strings.Count(name, "-")
	if hyphens == 0 {
		return b
	}
	all := 1<<min(hyphens, maxMixed) - 1
	mix := 1
	if hyphens > maxMixed {
		mix = all
	}
	for ; mix <= all; mix++ {
		b = appendSpelling(b, name, '_', mix)
	}
	return appendSpelling(b, name, '.', all)
}

// appendSpelling appends a name with another character for those hyphens whose bit is set
// in mix; those beyond the bits go with the last.
func appendSpelling(b []byte, name string, other byte, mix int) []byte {
	b = appendText(b, okRemove, name)
	spelling, at := b[len(b)-len(name):], 0
	for i := range spelling {
		if spelling[i] != '-' {
			continue
		}
		if mix>>min(at, maxMixed-1)&1 == 1 {
			spelling[i] = other
		}
		at++
	}
	return b
}

// sendable says why headers can't be sent. Values were percent-encoded before; a byte
// that was not would be changed on its way, and two identities might become one.
func sendable(headers []token.Header) *token.Undecided {
	size := 0
	for i := range headers {
		size += len(headers[i].Name) + len(headers[i].Value) + len(": \r\n")
		if !visible(headers[i].Name) || !visible(headers[i].Value) {
			return server.Internal(nil)
		}
	}
	if size > maxHeaders {
		return &token.Undecided{
			Reason: token.ReasonResponseTooLarge,
			Message: "The identity headers of this token are longer than the 60 KB that Envoy takes: " +
				"list fewer claims in the policy's spec.respond.headers.",
		}
	}
	return nil
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
