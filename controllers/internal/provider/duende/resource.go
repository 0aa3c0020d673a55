// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// resource is an ApiResource as the endpoints take it. What is nil is not sent, and left as it is.
type resource struct {
	Name                     string   `json:"name"`
	Owner                    string   `json:"owner"`
	DisplayName              string   `json:"display_name,omitempty"`
	Enabled                  bool     `json:"enabled"`
	Scopes                   []string `json:"scopes,omitzero"`
	RequireResourceIndicator *bool    `json:"require_resource_indicator,omitempty"`
	Secrets                  []secret `json:"secrets"`
	Adopt                    bool     `json:"adopt,omitempty"`

	// ended may still be there: it is no way in any more.
	ended *secret
}

// secret is one of ours. Without a value it is one that is there already.
type secret struct {
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Value     string     `json:"value,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

const (
	typeSharedSecret = "SharedSecret"
	typeJWK          = "JWK"
)

// found is an ApiResource as the endpoints show it: secrets without values.
type found struct {
	Name                     string   `json:"name"`
	Owner                    string   `json:"owner"`
	DisplayName              string   `json:"display_name"`
	Enabled                  bool     `json:"enabled"`
	Scopes                   []string `json:"scopes"`
	RequireResourceIndicator bool     `json:"require_resource_indicator"`
	Secrets                  []secret `json:"secrets"`
	Adopted                  bool     `json:"adopted"`
	PropagationSeconds       int64    `json:"propagation_seconds"`
}

// maxPropagation bounds what a host may say: its caches live for 15 minutes by default.
const maxPropagation = 24 * time.Hour

func (f *found) propagation() time.Duration {
	seconds := min(max(f.PropagationSeconds, 0), int64(maxPropagation/time.Second))
	return time.Duration(seconds) * time.Second
}

// asItIs is what to send to leave everything as it was found. Scopes are not sent again: a host that lets
// nobody register one of them any more would refuse each change of anything else.
func (f *found) asItIs() resource {
	return resource{Name: f.Name, Owner: f.Owner, DisplayName: f.DisplayName, Enabled: f.Enabled, Secrets: f.Secrets}
}

// Names of managed fields, as the endpoints call them.
const (
	fieldDisplayName = "display_name"
	fieldEnabled     = provider.DriftEnabled
	fieldScopes      = "scopes"
	fieldAudience    = "require_resource_indicator"
)

// wanted is a registration as it should be now, secrets with their values.
func (s *Server) wanted(d provider.Desired) resource {
	r := resource{
		Name: d.ClientID, Owner: d.Owner, DisplayName: d.DisplayName, Enabled: !d.Disabled,
		Scopes: append([]string{}, d.Scopes...), Secrets: secrets(d.Credentials.At(s.now())),
	}
	if all := secrets(d.Credentials); len(all) > len(r.Secrets) {
		r.ended = &all[1]
	}
	if r.DisplayName == "" {
		r.DisplayName = d.ClientID
	}
	if d.Audience.Mode != provider.AudienceUnmanaged {
		required := d.Audience.Mode == provider.AudienceOnRequest
		r.RequireResourceIndicator = &required
	}
	return r
}

// secrets are the credentials as the server keeps them. Ends are whole seconds, so that what comes
// back is what was sent.
func secrets(c provider.Credentials) []secret {
	var all []secret
	for _, credential := range c.All() {
		s := secret{ID: credential.ID, Type: typeSharedSecret}
		if credential.Method == provider.PrivateKeyJWT {
			s.Type, s.Value = typeJWK, string(credential.PublicKey)
		} else {
			sum := sha256.Sum256([]byte(credential.Secret.Reveal()))
			s.Value = base64.StdEncoding.EncodeToString(sum[:])
		}
		all = append(all, s)
	}
	if c.Previous != nil && !c.PreviousEnds.IsZero() {
		end := c.PreviousEnds.UTC().Truncate(time.Second)
		all[1].ExpiresAt = &end
	}
	return all
}

// known are the secrets without the values of those that were found.
func known(all []secret, there []secret) []secret {
	out := slices.Clone(all)
	for i, s := range out {
		if slices.ContainsFunc(there, func(t secret) bool { return t.ID == s.ID && t.Type == s.Type }) {
			out[i].Value = ""
		}
	}
	return out
}

// drift names the fields that differ.
func (r *resource) drift(f *found) []string {
	var names []string
	if r.DisplayName != f.DisplayName && !f.Adopted { // an adopted one keeps its own
		names = append(names, fieldDisplayName)
	}
	if r.Enabled != f.Enabled {
		names = append(names, fieldEnabled)
	}
	if r.Scopes != nil && !sameSet(r.Scopes, f.Scopes) {
		names = append(names, fieldScopes)
	}
	if r.RequireResourceIndicator != nil && *r.RequireResourceIndicator != f.RequireResourceIndicator {
		names = append(names, fieldAudience)
	}
	there := slices.DeleteFunc(slices.Clone(f.Secrets), func(s secret) bool { return r.ended != nil && r.ended.is(s) })
	if !sameSecrets(r.Secrets, there) {
		names = append(names, provider.DriftSecret)
	}
	return names
}

func sameSet(a, b []string) bool {
	set := func(of []string) []string { return slices.Compact(slices.Sorted(slices.Values(of))) }
	return slices.Equal(set(a), set(b))
}

// sameSecrets compares what the server shows. An id is made of the value, so the same id is the same value.
func sameSecrets(a, b []secret) bool {
	if len(a) != len(b) {
		return false
	}
	for _, s := range a {
		if !slices.ContainsFunc(b, s.is) {
			return false
		}
	}
	return true
}

func (s secret) is(other secret) bool {
	if s.ID != other.ID || s.Type != other.Type || (s.ExpiresAt == nil) != (other.ExpiresAt == nil) {
		return false
	}
	return s.ExpiresAt == nil || s.ExpiresAt.Equal(*other.ExpiresAt)
}
