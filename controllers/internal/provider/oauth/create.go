// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const opCreate = "register the client"

// clearWithin is how long the mark of a creation that was not done may take to be cleared.
const clearWithin = 5 * time.Second

// Create implements provider.Registrar. It never sends a second request while it is not known what came of the first.
func (s *session) Create(ctx context.Context, d provider.Desired, caller provider.Caller) (provider.Registration, error) {
	var none provider.Registration
	if err := s.fit(opCreate); err != nil {
		return none, err
	}
	if err := s.takes(opCreate, d.Credentials.Current.Method); err != nil {
		return none, err
	}
	st, err := stateOf(opCreate, d.State)
	if err != nil {
		return none, err
	}
	if st.Pending && st.Attempt == d.Attempt {
		return none, ambiguous(d, &provider.Error{Op: opCreate, Err: errors.New("the answer to an earlier request was lost")})
	}
	if st.registered() {
		if st, done, err := s.again(ctx, d, caller, st); err != nil || done {
			return st.registration(), err
		}
	}
	if s.api.Tokens != nil { // or a failure to sign in would look like a lost registration
		if _, err := s.api.Tokens.Token(ctx, ""); err != nil {
			return none, err
		}
	}
	made, err := s.post(ctx, d, caller, []string{})
	if wantsGrant(err) {
		made, err = s.post(ctx, d, caller, []string{fallbackGrant})
	}
	if err != nil {
		return none, err
	}
	return made.registration(), s.usable(opCreate, d, &made)
}

// again is a creation of what was registered before.
func (s *session) again(ctx context.Context, d provider.Desired, caller provider.Caller, st state) (state, bool, error) {
	if st.Owner != d.Owner {
		return st, false, &provider.Error{Kind: provider.KindConflict, Op: opCreate, Subject: st.Owner, Err: errors.New("the registration is another object's")}
	}
	found, err := s.look(ctx, opCreate, d, caller, st)
	if err != nil || !found.exists {
		return found.st, false, err
	}
	if err := s.tell(ctx, d, caller, &found.st); err != nil {
		return found.st, false, err
	}
	return found.st, true, s.usable(opCreate, d, &found.st)
}

// tell says the secret again to whom it is not known.
func (s *session) tell(ctx context.Context, d provider.Desired, caller provider.Caller, st *state) error {
	c := d.Credentials.Current
	if c.Method == provider.ClientSecret && c.Secret == "" && st.Secret != "" || d.ClientID != st.ClientID {
		return st.keep(ctx, caller, true)
	}
	return nil
}

// post is one request. Only when the server itself said no, or nothing was sent, is the mark taken away again.
func (s *session) post(ctx context.Context, d provider.Desired, caller provider.Caller, grants []string) (state, error) {
	metadata := s.metadata(d, grants)
	body := maps.Clone(metadata)
	maps.DeleteFunc(body, func(_ string, value any) bool { return value == nil })
	body["software_id"] = d.Attempt
	if err := caller.Fence(ctx); err != nil {
		return state{}, err
	}
	mark := state{Attempt: d.Attempt, Pending: true}
	if err := mark.intend(ctx, caller); err != nil {
		return state{}, err
	}
	// A connection that the server closes at this very moment would lose the answer.
	s.api.HTTP.CloseIdleConnections()
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	answer, err := s.api.Do(traced, provider.Call{
		Op: opCreate, Method: http.MethodPost, URL: s.registration, In: body, Bearer: s.config.SignIn.InitialAccessToken,
		Done: []int{http.StatusCreated, http.StatusOK}, // RFC 7591 says 201, and not all do
	})
	if err != nil {
		return state{}, s.notMade(ctx, d, caller, answer, err, sent.Load())
	}
	made := state{Owner: d.Owner, Attempt: d.Attempt, Asked: asked(metadata)}
	if _, _, err := made.take(answer); err != nil {
		return state{}, ambiguous(d, answer.Nonsense())
	}
	var said map[string]json.RawMessage
	_ = json.Unmarshal(answer.Body, &said) // take has read it
	made.Got = answered(said)
	return made, made.keep(ctx, caller, true)
}

// notMade sorts the failures of a creation: those that surely left nothing, and all others.
func (s *session) notMade(ctx context.Context, d provider.Desired, caller provider.Caller, answer *provider.Answer, err error, sent bool) error {
	var e *provider.Error
	if !errors.As(err, &e) {
		return err
	}
	unsent := answer == nil && (!sent || e.Op != opCreate) // another Op: a sign-in after the first try was refused
	if !unsent && !refusedByServer(answer) {
		return ambiguous(d, e)
	}
	cleared := state{Attempt: d.Attempt}
	// The mark must go even if the caller was called off: nothing was sent that it could stand for.
	keeping, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearWithin)
	defer cancel()
	if err := cleared.intend(keeping, caller); err != nil {
		return err
	}
	return s.advised(e)
}

// refusedByServer says that the answer is the server's own no: a proxy's word does not say what happened behind it. Who
// is asked to come later was not heard, whoever says so.
func refusedByServer(a *provider.Answer) bool {
	if a == nil {
		return false
	}
	switch a.Status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		return false
	default:
		return isOwn(a) && a.Status >= http.StatusBadRequest && a.Status < http.StatusInternalServerError
	}
}

// wantsGrant says that the refusal may be one of the empty grant_types.
func wantsGrant(err error) bool {
	e, ok := errors.AsType[*provider.Error](err)
	return ok && e.Kind == provider.KindInvalid && e.Status == http.StatusBadRequest &&
		(strings.HasPrefix(e.Detail, "invalid_client_metadata") || strings.HasPrefix(e.Detail, "invalid_redirect_uri"))
}

// ambiguous is the error when nobody can say whether a client was made.
func ambiguous(d provider.Desired, cause *provider.Error) *provider.Error {
	e := *cause
	e.Kind, e.Subject = provider.KindAmbiguous, d.Attempt
	if e.Err == nil {
		e.Err = errors.New("nobody can tell whether the client was made")
	} else {
		e.Err = fmt.Errorf("nobody can tell whether the client was made: %w", e.Err)
	}
	e.Advice = fmt.Sprintf("Look at the server for a client whose software_id is %s (it may keep none: then by its name) and delete it.", d.Attempt)
	return &e
}

// usable refuses a registration that can't be used as it was answered. It is kept all the same.
func (s *session) usable(op string, d provider.Desired, st *state) error {
	if st.manageable() {
		if _, err := s.address(op, st); err != nil {
			return err
		}
	}
	if d.Credentials.Current.Method == provider.ClientSecret && st.Asked[memberMethod] == "client_secret_basic" && st.Secret == "" {
		return &provider.Error{
			Kind: provider.KindUnsupported, Op: op, Err: errors.New("the server gave the client no client_secret"),
			Advice: "Set spec.authentication.method: PrivateKeyJWT, or let the server register client_secret_basic.",
		}
	}
	return nil
}
