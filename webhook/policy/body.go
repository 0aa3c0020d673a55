// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const bearer = "Bearer"

// Body is the RFC 7662 answer of an allow, made once and kept with the facts. It is
// shared: it never changes.
type Body struct {
	// fixed is the answer where it does not depend on the time; else nil.
	fixed []byte
	// with and without `iat` are the answer around the digits of `exp`.
	with, without halves
	maxAge        time.Duration
	// expires and issued are in seconds since 1970; 0 and false if unknown.
	expires, issued       int64
	hasExpires, hasIssued bool
}

// halves of an answer.
type halves struct{ before, after []byte }

// At is the answer at a time. With exp Clamp its `exp` is at most maxAge from then, for
// callers that cache until `exp`; else it is the same slice each time: not to be changed.
func (b *Body) At(now time.Time) []byte {
	if b.fixed != nil {
		return b.fixed
	}
	exp := now.Add(b.maxAge).Unix()
	if b.hasExpires {
		exp = min(exp, b.expires)
	}
	h := &b.without
	if b.hasIssued && b.issued < exp {
		h = &b.with
	}
	const digits = 20
	out := make([]byte, 0, len(h.before)+digits+len(h.after))
	out = append(out, h.before...)
	out = strconv.AppendInt(out, exp, 10)
	return append(out, h.after...)
}

// Body is the RFC 7662 answer of an allow: active, token_type, and the policy's claims
// as far as the server said them, in the policy's order. It is what real clients take:
// `scope` is a string, times are whole seconds, and `iat` is left out where it would not
// be before `exp`. It holds `cnf` only where the caller said that he checks it: nobody
// proved possession to whom asks.
func (p *Policy) Body(f *token.Facts) (Body, error) {
	if !p.introspection.clamp || !p.answers("exp") {
		w := p.write(f, f.ExpiresAt.IsZero() || f.IssuedAt.Unix() < f.ExpiresAt.Unix(), false)
		return Body{fixed: w.b.Bytes()}, w.err
	}
	with, without := p.write(f, true, true), p.write(f, false, true)
	b := Body{
		with: with.halves(), without: without.halves(), maxAge: p.maxAge,
		expires: f.ExpiresAt.Unix(), hasExpires: !f.ExpiresAt.IsZero(),
		issued: f.IssuedAt.Unix(), hasIssued: !f.IssuedAt.IsZero(),
	}
	return b, with.err
}

func (p *Policy) answers(claim string) bool { return slices.Contains(p.claims, claim) }

// write is the answer; open leaves a gap for the digits of `exp`.
func (p *Policy) write(f *token.Facts, iat, open bool) *bodyWriter {
	w := &bodyWriter{}
	w.b.WriteString(`{"active":true`)
	w.text("token_type", typeName(f))
	if p.introspection.callerVerifies && bound(f) {
		w.raw("cnf", f.Claims["cnf"])
	}
	for _, claim := range p.claims {
		switch claim {
		case "active", "cnf", "token_type":
		case "scope":
			w.text(claim, strings.Join(f.Scope, " "))
		case "client_id":
			w.text(claim, f.ClientID)
		case "exp":
			if open {
				w.name(claim)
				w.gap = w.b.Len()
				continue
			}
			w.seconds(claim, f.ExpiresAt)
		case "nbf":
			w.seconds(claim, f.NotBefore)
		case "auth_time":
			w.seconds(claim, f.AuthTime)
		case "iat":
			if iat {
				w.seconds(claim, f.IssuedAt)
			}
		default:
			w.raw(claim, f.Claims[claim])
		}
	}
	w.b.WriteByte('}')
	return w
}

// typeName is always there: some clients read its absence as an ID token. A token that is
// bound to a DPoP key is one that may not be sent as Bearer (RFC 9449 section 6.2).
func typeName(f *token.Facts) string {
	switch {
	case f.JKT != "":
		return "DPoP"
	case f.TokenType == "":
		return bearer
	}
	return f.TokenType
}

// bodyWriter writes members; those that are unknown are left out.
type bodyWriter struct {
	b   bytes.Buffer
	gap int
	err error
}

func (w *bodyWriter) halves() halves {
	return halves{before: w.b.Bytes()[:w.gap:w.gap], after: w.b.Bytes()[w.gap:]}
}

func (w *bodyWriter) name(name string) {
	w.b.WriteByte(',')
	w.json(name)
	w.b.WriteByte(':')
}

func (w *bodyWriter) json(s string) {
	encoded, err := json.Marshal(s)
	if err != nil && w.err == nil {
		w.err = err
	}
	w.b.Write(encoded)
}

func (w *bodyWriter) text(name, value string) {
	if value != "" {
		w.name(name)
		w.json(value)
	}
}

func (w *bodyWriter) seconds(name string, t time.Time) {
	if !t.IsZero() {
		w.name(name)
		w.b.Write(strconv.AppendInt(nil, t.Unix(), 10))
	}
}

func (w *bodyWriter) raw(name string, value json.RawMessage) {
	if len(value) == 0 || string(value) == "null" {
		return
	}
	w.name(name)
	if err := json.Compact(&w.b, value); err != nil && w.err == nil {
		w.err = fmt.Errorf("writing claim %s: it is no JSON", name)
	}
}
