// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// The managed members (RFC 7591 section 2).
const (
	memberName      = "client_name"
	memberScope     = "scope"
	memberMethod    = "token_endpoint_auth_method"
	memberKeys      = "jwks"
	memberGrants    = "grant_types"
	memberResponses = "response_types"
	memberRedirects = "redirect_uris"
)

func managed() []string {
	return []string{memberName, memberScope, memberMethod, memberKeys, memberGrants, memberResponses, memberRedirects}
}

// powers are the members that let a client get tokens of its users.
func powers() []string { return []string{memberGrants, memberResponses, memberRedirects} }

// members are managed ones, each in one spelling whatever order and blanks the server has. What is missing was not said.
type members map[string]string

// fallbackGrant is for servers that make no client without any grant. It gets no user's token.
const fallbackGrant = "client_credentials"

// metadata is the registration as it should be; a nil value is one that must not be there.
func (s *session) metadata(d provider.Desired, grants []string) map[string]any {
	m := map[string]any{
		memberName: d.DisplayName, memberScope: nil, memberMethod: "client_secret_basic", memberKeys: nil,
		memberGrants: grants, memberResponses: []string{}, memberRedirects: []string{},
	}
	if d.DisplayName == "" {
		m[memberName] = d.Owner // the id is the server's, and not known before
	}
	if len(d.Scopes) > 0 {
		m[memberScope] = strings.Join(d.Scopes, " ")
	}
	if d.Credentials.Current.Method == provider.PrivateKeyJWT {
		m[memberMethod] = privateKeyJWT
		var keys []json.RawMessage
		for _, c := range s.live(d.Credentials) {
			keys = append(keys, c.PublicKey)
		}
		m[memberKeys] = map[string]any{"keys": keys}
	}
	return m
}

// live are the credentials that have not ended.
func (s *session) live(c provider.Credentials) []provider.Credential { return c.At(s.now()).All() }

// grants are those that this registration was asked for: none, unless the server wants one.
func (st *state) grants() []string {
	if st.Asked[memberGrants] == normal(memberGrants, []string{fallbackGrant}) {
		return []string{fallbackGrant}
	}
	return []string{}
}

// asked is the metadata in the spelling of members.
func asked(metadata map[string]any) members {
	m := members{}
	for _, name := range managed() {
		m[name] = normal(name, metadata[name])
	}
	return m
}

// answered are the managed members that a server said; null is not said.
func answered(body map[string]json.RawMessage) members {
	m := members{}
	for _, name := range managed() {
		if raw, there := body[name]; there && string(raw) != "null" {
			m[name] = normal(name, raw)
		}
	}
	return m
}

// normal spells a member in one way; absent and empty are the same.
func normal(name string, value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	switch name {
	case memberScope:
		var text string
		_ = json.Unmarshal(encoded, &text) // another type is no scope
		return listed(strings.Fields(text))
	case memberGrants, memberResponses, memberRedirects:
		var list []string
		_ = json.Unmarshal(encoded, &list)
		return listed(list)
	case memberKeys:
		keys, _ := provider.NormalKeys(encoded) // what is no set of keys is none
		return keys
	default:
		var text string
		_ = json.Unmarshal(encoded, &text)
		return text
	}
}

func listed(list []string) string {
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

// drift names what differs. A server may replace what it is asked for, and need not repeat it: what counts is what it
// answered then, as long as nothing else is asked for. What could get a token, and was not answered, was not there.
func (st *state) drift(want, live members) []string {
	var names []string
	for _, name := range managed() {
		is, shown := live[name]
		then, answered := st.Got[name]
		switch {
		case shown && is == want[name]:
		case want[name] != st.Asked[name]:
			names = append(names, name)
		case !answered && is != "" && slices.Contains(powers(), name):
			names = append(names, name)
		case !answered, is == then:
		case !shown && slices.Contains(st.Hidden, name):
		default:
			names = append(names, name)
		}
	}
	return names
}

// unmanaged are the members that answers have and requests must not (RFC 7592 section 2.2), beside the secret.
func unmanaged() []string {
	return []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at", "client_secret"}
}

// merged is the whole metadata for a PUT: what the server said, with the managed members as they should be.
func merged(live map[string]json.RawMessage, metadata map[string]any) map[string]any {
	body := map[string]any{}
	for name, raw := range live {
		if string(raw) != "null" && !slices.Contains(unmanaged(), name) {
			body[name] = raw
		}
	}
	maps.Copy(body, metadata)
	maps.DeleteFunc(body, func(_ string, value any) bool { return value == nil })
	return body
}
