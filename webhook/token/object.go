// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxMembers bounds what an answer of many tiny members grows to in memory.
const maxMembers = 1000

var (
	errNotObject = errors.New("it is not one JSON object")
	errNotText   = errors.New("it is not valid Unicode")
)

// Members are those of one JSON object: a server's answer, or a JWT's claims. Readers
// differ about a name that comes twice and about broken Unicode, which Go would turn into
// one and the same character: both would make two identities one.
func Members(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) {
		return nil, errNotText
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil || m == nil {
		return nil, errNotObject
	}
	switch n := count(body); {
	case n > maxMembers:
		return nil, fmt.Errorf("it has more than %d members", maxMembers)
	case n != len(m):
		return nil, errors.New("it has a member twice")
	case loneSurrogate(body):
		return nil, errNotText
	}
	return m, nil
}

// count is how many members a valid JSON object has, those of the same name too.
func count(body []byte) int {
	members, depth := 0, 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ':':
			if depth == 1 {
				members++
			}
		case '"':
			for i++; body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		}
	}
	return members
}

// loneSurrogate finds an escape of half a character in valid JSON.
func loneSurrogate(body []byte) bool {
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 {
			return false
		}
		body = body[i+1:]
		if body[0] != 'u' {
			body = body[1:] // an escaped backslash begins no escape
			continue
		}
		switch r := unit(body); {
		case r >= 0xdc00 && r <= 0xdfff:
			return true
		case r >= 0xd800 && r <= 0xdbff:
			rest := body[5:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return true
			}
			if low := unit(rest[1:]); low < 0xdc00 || low > 0xdfff {
				return true
			}
			body = rest[6:]
		default:
			body = body[5:]
		}
	}
}

// unit is the UTF-16 unit of uXXXX.
func unit(escape []byte) uint64 {
	r, err := strconv.ParseUint(string(escape[1:5]), 16, 16)
	if err != nil {
		return 0 // can't be: the JSON is valid
	}
	return r
}
