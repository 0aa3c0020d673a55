// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Reasons why a Secret that a user brought can't be used.
var (
	// ErrAbsent says that there is no such Secret.
	ErrAbsent = errors.New("it does not exist")
	// ErrNotACredential says that it has not the keys that it needs, or is one that we wrote.
	ErrNotACredential = errors.New("it is no credential")
)

// Bounds of what a user can make us read.
const (
	maxBroughtID  = 255
	maxBroughtKey = 16 << 10
)

// Existing reads the credential in a Secret that a user brought: client_id, and
// client_secret or private_key.pem with key_id.
func (s *Store) Existing(ctx context.Context, namespace, name string) (Value, error) {
	found, err := s.read(ctx, namespace, name)
	switch {
	case err != nil:
		return Value{}, err
	case found == nil:
		return Value{}, ErrAbsent
	case found.Type == Type || found.Labels[LabelManagedBy] == ManagedBy:
		return Value{}, fmt.Errorf("%w: it was written by the operator", ErrNotACredential)
	}
	v, err := Brought(found.Data)
	if err == nil && v.Known() {
		v.IssuedAt, v.Version = found.CreationTimestamp.UTC().Truncate(time.Second), found.ResourceVersion
	}
	return v, err
}

// Brought makes a value of a Secret's data. Its errors name keys, and nothing of what is in them.
func Brought(data map[string][]byte) (Value, error) {
	// A trailing newline is what `--from-file` and an editor leave behind, and no part of a value.
	text := func(key string) string { return strings.TrimRight(string(data[key]), "\r\n") }
	v := Value{ClientID: strings.TrimSpace(text(KeyClientID)), Secret: provider.Secret(text(KeyClientSecret)), KeyID: strings.TrimSpace(text(KeyKeyID))}
	private := bytes.TrimSpace(data[KeyPrivateKey])
	switch {
	case v.ClientID == "" || len(v.ClientID) > maxBroughtID:
		return Value{}, fmt.Errorf("%w: the key %s is missing, or longer than %d characters", ErrNotACredential, KeyClientID, maxBroughtID)
	case v.Secret == "" && len(private) == 0:
		return Value{}, fmt.Errorf("%w: it needs %s, or %s with %s", ErrNotACredential, KeyClientSecret, KeyPrivateKey, KeyKeyID)
	case v.Secret != "" && len(private) > 0:
		return Value{}, fmt.Errorf("%w: %s and %s are both there; leave one", ErrNotACredential, KeyClientSecret, KeyPrivateKey)
	case len(v.Secret) > maxBroughtKey || len(private) > maxBroughtKey || len(v.KeyID) > maxBroughtID:
		return Value{}, fmt.Errorf("%w: a value is longer than 16 KiB", ErrNotACredential)
	case !isText(v.ClientID) || !isText(v.Secret.Reveal()) || !isText(v.KeyID):
		return Value{}, fmt.Errorf("%w: a value is no text, or has control characters", ErrNotACredential)
	case v.Secret != "":
		v.KeyID = ""
		return v, nil
	case v.KeyID == "":
		return Value{}, fmt.Errorf("%w: %s needs %s beside it, the name that the server knows the key by", ErrNotACredential, KeyPrivateKey, KeyKeyID)
	}
	v.PrivateKey = provider.Secret(private)
	if _, err := parseKey(v.PrivateKey); err != nil {
		return Value{}, fmt.Errorf("%w: %s: %w", ErrNotACredential, KeyPrivateKey, err)
	}
	return v, nil
}

// isText says that a value is stored and sent as it is: JSON would replace what is no UTF-8.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
