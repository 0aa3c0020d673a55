// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const bearer = "Bearer"

// Body is the RFC 7662 answer of an allow: active, token_type, and the policy's claims
// as far as the server said them, in the policy's order. It is what real clients take:
// `scope` is a string, times are whole seconds, and `iat` is left out where it would not
// be before `exp`. It never holds `cnf`: nobody proved possession to whom asks.
func (p *Policy) Body(f *token.Facts) ([]byte, error) {
	w := &bodyWriter{}
	w.b.WriteString(`{"active":true`)
	w.text("token_type", typeName(f))
	for _, claim := range p.claims {
		switch claim {
		case "active", "cnf", "token_type":
		case "scope":
			w.text(claim, strings.Join(f.Scope, " "))
		case "client_id":
			w.text(claim, f.ClientID)
		case "exp":
			w.seconds(claim, f.ExpiresAt)
		case "nbf":
			w.seconds(claim, f.NotBefore)
		case "auth_time":
			w.seconds(claim, f.AuthTime)
		case "iat":
			if f.ExpiresAt.IsZero() || f.IssuedAt.Unix() < f.ExpiresAt.Unix() {
				w.seconds(claim, f.IssuedAt)
			}
		default:
			w.raw(claim, f.Claims[claim])
		}
	}
	w.b.WriteByte('}')
	return w.b.Bytes(), w.err
}

// typeName is always there: some clients read its absence as an ID token.
func typeName(f *token.Facts) string {
	if f.TokenType == "" {
		return bearer
	}
	return f.TokenType
}

// bodyWriter writes members; those that are unknown are left out.
type bodyWriter struct {
	b   bytes.Buffer
	err error
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
