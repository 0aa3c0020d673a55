// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

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
	errNotObject = errors.New("the answer is not one JSON object")
	errNotText   = errors.New("the answer is not valid Unicode")
)

// members are those of one JSON object. Readers differ about a name that comes twice
// and about broken Unicode, which Go would turn into one and the same character: both
// would make two identities one.
func members(body []byte) (map[string]json.RawMessage, error) {
	switch {
	case !utf8.Valid(body):
		return nil, errNotText
	case !json.Valid(body):
		return nil, errNotObject
	case loneSurrogate(body):
		return nil, errNotText
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errNotObject
	}
	m := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, errNotObject
		}
		if _, twice := m[name]; twice {
			return nil, errors.New("the answer has a member twice")
		}
		if len(m) == maxMembers {
			return nil, fmt.Errorf("the answer has more than %d members", maxMembers)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errNotObject
		}
		m[name] = value
	}
	return m, nil
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
