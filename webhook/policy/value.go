// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

var errNoJSON = errors.New("it is a value that JSON does not have")

// appendJSON writes a value as compact JSON, the members of objects in order. Integers
// stay whole: a double would make two users one.
func appendJSON(b []byte, v ref.Val) ([]byte, error) {
	switch v := v.(type) {
	case types.Null:
		return append(b, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(b, bool(v)), nil
	case types.Int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(b, uint64(v), 10), nil
	case types.Double:
		encoded, err := json.Marshal(float64(v))
		return append(b, encoded...), err
	case types.String:
		return appendText(b, string(v))
	case traits.Lister:
		return appendList(b, v)
	case traits.Mapper:
		return appendObject(b, v)
	}
	return b, errNoJSON
}

// appendText keeps <, > and &, as a claim's own JSON does.
func appendText(b []byte, s string) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(s)
	return append(b, bytes.TrimSuffix(buffer.Bytes(), []byte{'\n'})...), err
}

func appendList(b []byte, list traits.Lister) ([]byte, error) {
	b = append(b, '[')
	first := true
	for it := list.Iterator(); it.HasNext() == types.True; first = false {
		if !first {
			b = append(b, ',')
		}
		var err error
		if b, err = appendJSON(b, it.Next()); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, object traits.Mapper) ([]byte, error) {
	var names []string
	for it := object.Iterator(); it.HasNext() == types.True; {
		name, ok := it.Next().(types.String)
		if !ok {
			return b, errNoJSON
		}
		names = append(names, string(name))
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendJSON(b, types.String(name)); err != nil {
			return b, err
		}
		b = append(b, ':')
		if b, err = appendJSON(b, object.Get(types.String(name))); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// stringsOf is a list of strings; ok is false for anything else.
func stringsOf(v ref.Val) (all []string, ok bool) {
	list, ok := v.(traits.Lister)
	if !ok {
		return nil, false
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().(types.String)
		if !ok {
			return nil, false
		}
		all = append(all, string(s))
	}
	return all, true
}
