// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// resource is the body of a PUT.
type resource struct {
	Name                     *string  `json:"name"`
	DisplayName              *string  `json:"display_name"`
	Owner                    string   `json:"owner"`
	Enabled                  *bool    `json:"enabled"`
	Scopes                   []string `json:"scopes"`
	RequireResourceIndicator *bool    `json:"require_resource_indicator"`
	Secrets                  []secret `json:"secrets"`
	Adopt                    bool     `json:"adopt"`
}

type secret struct {
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Value     *string    `json:"value"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// view is the body of an answer.
type view struct {
	Name                     string       `json:"name"`
	DisplayName              *string      `json:"display_name"`
	Enabled                  bool         `json:"enabled"`
	Owner                    *string      `json:"owner"`
	Adopted                  bool         `json:"adopted"`
	Scopes                   []string     `json:"scopes"`
	Secrets                  []secretView `json:"secrets"`
	RequireResourceIndicator bool         `json:"require_resource_indicator"`
	UnmanagedSecrets         int          `json:"unmanaged_secrets"`
	PropagationSeconds       int          `json:"propagation_seconds"`
}

type secretView struct {
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// registered says that a secret is one of the registration endpoints', and not the host's.
func (s Secret) registered() bool { return strings.HasPrefix(s.Description, SecretPrefix) }

func (s *Server) view(r *Resource) view {
	v := view{
		Name: r.Name, DisplayName: r.DisplayName, Enabled: !r.Disabled, Scopes: slices.Sorted(slices.Values(r.Scopes)),
		Secrets: []secretView{}, RequireResourceIndicator: r.RequireResourceIndicator, PropagationSeconds: s.o.PropagationSeconds,
	}
	if owner, ok := r.Properties[OwnerKey]; ok {
		v.Owner = &owner
	}
	_, v.Adopted = r.Properties[AdoptedKey]
	if v.Scopes == nil {
		v.Scopes = []string{}
	}
	for _, s := range r.Secrets {
		if s.registered() {
			v.Secrets = append(v.Secrets, secretView{ID: strings.TrimPrefix(s.Description, SecretPrefix), Type: s.Type, ExpiresAt: s.Expiration})
		} else {
			v.UnmanagedSecrets++
		}
	}
	return v
}

// invalid says what is wrong with a body, empty if nothing is.
func (in *resource) invalid(name string) string {
	switch n := units(name); {
	case n == 0 || n > 100:
		return "name must have 1 to 100 characters"
	case strings.TrimSpace(in.Owner) == "" || units(in.Owner) > 500:
		return "owner is required, 500 characters at most"
	case in.Name != nil && *in.Name != name:
		return "name differs from the path"
	}
	seen := map[string]bool{}
	for _, s := range in.Secrets {
		if seen[s.ID] {
			return "secret ids must differ"
		}
		seen[s.ID] = true
	}
	for _, s := range in.Secrets {
		if why := s.invalid(); why != "" {
			return why
		}
	}
	return ""
}

func (s *secret) invalid() string {
	if strings.TrimSpace(s.ID) == "" || units(s.ID) > 100 {
		return "each secret needs an id of at most 100 characters"
	}
	switch s.kind() {
	case typeSharedSecret:
		if s.Value != nil && !isHash(*s.Value) {
			return fmt.Sprintf("secret %s: value must be base64 of SHA-256 or SHA-512", s.ID)
		}
	case typeJWK:
		if s.Value != nil && !isJWK(*s.Value) {
			return fmt.Sprintf("secret %s: value must be a JWK", s.ID)
		}
	default:
		return fmt.Sprintf("secret %s: type must be SharedSecret or JWK", s.ID)
	}
	return ""
}

func (s *secret) kind() string {
	if s.Type == "" {
		return typeSharedSecret
	}
	return s.Type
}

// apply makes r what the body says; or says why it can't.
func (in *resource) apply(r *Resource) string {
	r.Properties[OwnerKey] = in.Owner
	r.DisplayName = in.DisplayName
	r.Disabled = in.Enabled != nil && !*in.Enabled
	if in.RequireResourceIndicator != nil {
		r.RequireResourceIndicator = *in.RequireResourceIndicator
	}
	if in.Scopes != nil {
		r.Scopes = slices.DeleteFunc(r.Scopes, func(scope string) bool { return !slices.Contains(in.Scopes, scope) })
		r.Scopes = append(r.Scopes, except(in.Scopes, r.Scopes)...)
	}
	r.Secrets = slices.DeleteFunc(r.Secrets, func(s Secret) bool {
		return s.registered() && !slices.ContainsFunc(in.Secrets, func(w secret) bool { return SecretPrefix+w.ID == s.Description })
	})
	for _, wanted := range in.Secrets {
		i := slices.IndexFunc(r.Secrets, func(s Secret) bool { return s.Description == SecretPrefix+wanted.ID })
		if i < 0 {
			if wanted.Value == nil {
				return fmt.Sprintf("secret %s is new and has no value", wanted.ID)
			}
			r.Secrets = append(r.Secrets, Secret{Description: SecretPrefix + wanted.ID})
			i = len(r.Secrets) - 1
		}
		row := &r.Secrets[i]
		row.Type, row.Expiration = wanted.kind(), wanted.ExpiresAt
		if wanted.Value != nil {
			row.Value = *wanted.Value
		}
	}
	return ""
}

// except are those of a that are not in b, each once.
func except(a, b []string) []string {
	var rest []string
	for _, item := range a {
		if !slices.Contains(b, item) && !slices.Contains(rest, item) {
			rest = append(rest, item)
		}
	}
	return rest
}

// units is a length as .NET counts it.
func units(text string) int { return len(utf16.Encode([]rune(text))) }

func isHash(value string) bool {
	decoded, err := base64.StdEncoding.DecodeString(value)
	return err == nil && (len(decoded) == 32 || len(decoded) == 64)
}

func isJWK(value string) bool {
	var key map[string]json.RawMessage
	return json.Unmarshal([]byte(value), &key) == nil && key["kty"] != nil
}
