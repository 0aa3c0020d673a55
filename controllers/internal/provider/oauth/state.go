// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// state is Identity.State: what the server said, and what it was asked.
type state struct {
	// Owner and Attempt are whose registration it is: the server may keep neither.
	Owner   string `json:"owner,omitempty"`
	Attempt string `json:"attempt,omitempty"`
	// Pending says that a creation is on its way, and its answer is not here.
	Pending bool `json:"pending,omitempty"`
	// ClientID, URI and so on are the latest that the server said of each.
	ClientID string `json:"clientID,omitempty"`
	URI      string `json:"uri,omitempty"`
	Token    string `json:"token,omitempty"`
	Secret   string `json:"secret,omitempty"`
	// SecretEnds is in seconds since 1970; 0 for never.
	SecretEnds int64 `json:"secretEnds,omitempty"`
	// Asked are the managed members as they were last asked for, and Got as they were answered then.
	Asked members `json:"asked,omitempty"`
	Got   members `json:"got,omitempty"`
	// Hidden are members that answers to writes show, and answers to reads do not.
	Hidden []string `json:"hidden,omitempty"`
	// Overlap is what a rotation of the secret has come to.
	Overlap provider.Overlap `json:"overlap,omitempty"`
	// Unmanaged says that the server refused to know how to change or delete it.
	Unmanaged bool `json:"unmanaged,omitempty"`
	// Answer is the whole answer that last brought something new.
	Answer json.RawMessage `json:"answer,omitempty"`
}

// maxAnswer bounds what is kept of an answer beside what is needed of it.
const maxAnswer = 64 << 10

func stateOf(op string, kept provider.Secret) (state, error) {
	var st state
	if kept == "" {
		return st, nil
	}
	if err := json.Unmarshal([]byte(kept.Reveal()), &st); err != nil {
		return st, &provider.Error{Kind: provider.KindServer, Op: op, Err: errors.New("what was kept of the registration can't be read")}
	}
	return st, nil
}

// registered says that a registration was answered.
func (st *state) registered() bool { return st.ClientID != "" }

// manageable says that the server gave the means of RFC 7592.
func (st *state) manageable() bool { return st.URI != "" && st.Token != "" }

func (st *state) registration() provider.Registration {
	return provider.Registration{RegistrationID: st.ClientID, Unmanaged: !st.manageable() || st.Unmanaged}
}

// secrets are what the server's words must not repeat.
func (st *state) secrets() []provider.Secret {
	return []provider.Secret{provider.Secret(st.Secret), provider.Secret(st.Token)}
}

// credential is the secret that the server chose.
func (st *state) credential() provider.Credential {
	return provider.Credential{Method: provider.ClientSecret, Secret: provider.Secret(st.Secret)}
}

func (st *state) encoded() (provider.Secret, error) {
	encoded, err := json.Marshal(st) //nolint:gosec // G117: the record is where secrets are kept
	return provider.Secret(encoded), err
}

// keep stores the state, and with it the id and the secret if they are said anew.
func (st *state) keep(ctx context.Context, caller provider.Caller, anew bool) error {
	issued, err := st.issued()
	if err != nil {
		return err
	}
	if anew {
		issued.ClientID, issued.Secret = st.ClientID, provider.Secret(st.Secret)
		if st.SecretEnds > 0 && st.Secret != "" {
			issued.SecretExpiresAt = time.Unix(st.SecretEnds, 0)
		}
	}
	return caller.Keep(ctx, issued)
}

// intend stores a state that is no answer's.
func (st *state) intend(ctx context.Context, caller provider.Caller) error {
	issued, err := st.issued()
	if err != nil {
		return err
	}
	issued.Intent = true
	return caller.Keep(ctx, issued)
}

func (st *state) issued() (provider.Issued, error) {
	encoded, err := st.encoded()
	if err != nil {
		return provider.Issued{}, &provider.Error{Kind: provider.KindServer, Op: "keep what the server answered", Err: errors.New("it can't be encoded")}
	}
	return provider.Issued{State: encoded}, nil
}

// said is what of an answer (RFC 7591 section 3.2.1) the state is made of.
type said struct {
	ClientID   string  `json:"client_id"`
	Secret     string  `json:"client_secret"`
	SecretEnds float64 `json:"client_secret_expires_at"`
	Token      string  `json:"registration_access_token"`
	URI        string  `json:"registration_client_uri"`
}

// take makes the state that of an answer; what the answer leaves out stays as it is. It reports whether the answer
// brought anything that only it says, and whether a secret or its end was in that.
func (st *state) take(a *provider.Answer) (news, secret bool, err error) {
	var s said
	if json.Unmarshal(a.Body, &s) != nil || s.ClientID == "" || st.ClientID != "" && s.ClientID != st.ClientID {
		return false, false, a.Nonsense()
	}
	before := *st
	st.ClientID = s.ClientID
	if s.Token != "" {
		st.Token = s.Token
	}
	if s.URI != "" {
		st.URI = s.URI
	}
	if s.Secret != "" {
		st.Secret, st.SecretEnds = s.Secret, int64(s.SecretEnds)
	}
	secret = st.Secret != before.Secret || st.SecretEnds != before.SecretEnds
	news = secret || st.ClientID != before.ClientID || st.Token != before.Token || st.URI != before.URI
	if news && len(a.Body) <= maxAnswer {
		st.Answer = json.RawMessage(a.Body)
	}
	return news, secret, nil
}
