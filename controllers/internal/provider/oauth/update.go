// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	opUpdate = "change the client's registration"
	opDelete = "delete the client's registration"
)

// Update implements provider.Registrar.
func (s *session) Update(ctx context.Context, d provider.Desired, _ provider.Observation, caller provider.Caller) (provider.Registration, error) {
	var none provider.Registration
	f, err := s.ours(ctx, opUpdate, d, caller)
	if err != nil {
		return none, err
	}
	metadata := s.metadata(d, f.st.grants())
	if len(f.st.drift(asked(metadata), f.members())) > 0 {
		if _, err := s.put(ctx, opUpdate, d, caller, &f, true); err != nil {
			return none, err
		}
	}
	if err := s.tell(ctx, d, caller, &f.st); err != nil {
		return none, err
	}
	return f.st.registration(), s.usable(opUpdate, d, &f.st)
}

// ours is the registration, read for a change.
func (s *session) ours(ctx context.Context, op string, d provider.Desired, caller provider.Caller) (found, error) {
	if err := s.takes(op, d.Credentials.Current.Method); err != nil {
		return found{}, err
	}
	st, err := stateOf(op, d.State)
	switch {
	case err != nil:
		return found{}, err
	case !st.registered():
		return found{}, &provider.Error{Kind: provider.KindServer, Op: op, Err: errors.New("nothing is registered")}
	case st.Owner != d.Owner:
		return found{}, &provider.Error{Kind: provider.KindConflict, Op: op, Subject: st.Owner, Err: errors.New("the registration is another object's")}
	}
	f, err := s.look(ctx, op, d, caller, st)
	if err == nil && !f.exists {
		err = &provider.Error{Kind: provider.KindServer, Op: op, Err: errors.New("it was deleted meanwhile")}
	}
	return f, err
}

// put writes the whole registration (RFC 7592 section 2.2), keeps the answer, and reports whether it brought another
// secret. Without withSecret the server may choose a new one.
func (s *session) put(ctx context.Context, op string, d provider.Desired, caller provider.Caller, f *found, withSecret bool) (anew bool, err error) {
	if f.live == nil {
		return false, s.unmanaged(op, &f.st)
	}
	address, err := s.address(op, &f.st)
	if err != nil {
		return false, err
	}
	metadata := s.metadata(d, f.st.grants())
	body := merged(f.live, metadata)
	body["client_id"] = f.st.ClientID
	if shown := f.live["client_secret"]; withSecret && shown != nil && metadata[memberMethod] != privateKeyJWT {
		body["client_secret"] = shown
	}
	answer, err := s.api.Write(ctx, caller, provider.Call{
		Op: op, Method: http.MethodPut, URL: address, In: body, Bearer: provider.Secret(f.st.Token), Done: []int{http.StatusOK}, Secrets: f.st.secrets(),
	})
	if err != nil {
		return false, s.notPut(ctx, d, caller, f, answer, err)
	}
	before := f.st.Secret
	if _, _, err := f.st.take(answer); err != nil {
		return false, err
	}
	var said map[string]json.RawMessage
	_ = json.Unmarshal(answer.Body, &said) // take has read it
	was := answered(f.live)
	f.st.Asked, f.st.Got = asked(metadata), answered(said)
	for name := range f.st.Got {
		if _, shown := was[name]; !shown && f.st.Got[name] != "" && !slices.Contains(f.st.Hidden, name) {
			f.st.Hidden = append(f.st.Hidden, name)
		}
	}
	if said["client_secret"] == nil && metadata[memberMethod] == privateKeyJWT {
		f.st.Secret, f.st.SecretEnds = "", 0 // nothing accepts it any more
	}
	f.live = said
	anew = f.st.Secret != before && f.st.Secret != ""
	return anew, f.st.keep(ctx, caller, anew)
}

func (s *session) notPut(ctx context.Context, d provider.Desired, caller provider.Caller, f *found, answer *provider.Answer, err error) error {
	switch {
	case isStatus(answer, http.StatusMethodNotAllowed, http.StatusNotImplemented):
		return s.unmanaged(answer.Op, &f.st)
	case isStatus(answer, http.StatusUnauthorized, http.StatusNotFound):
		if err := s.goneOrLost(ctx, d, caller, &f.st, err); err != nil {
			return err
		}
		return answer.Meanwhile()
	default:
		return err
	}
}

// unmanaged is the error where a registration can't be managed.
func (s *session) unmanaged(op string, st *state) error {
	e := &provider.Error{
		Kind: provider.KindUnsupported, Op: op, Subject: st.ClientID,
		Err:    errors.New("the server does not let registrations be managed (RFC 7592)"),
		Advice: fmt.Sprintf("Undo the change, or delete client %s at the server yourself: it is registered anew.", provider.Clean(st.ClientID)),
	}
	if op == opDelete {
		e.Advice = fmt.Sprintf("Set deletionPolicy: Retain and delete client %s at the server yourself.", provider.Clean(st.ClientID))
	}
	return e
}

// Delete implements provider.Registrar.
func (s *session) Delete(ctx context.Context, d provider.Desired, caller provider.Caller) error {
	st, err := stateOf(opDelete, d.State)
	switch {
	case err != nil:
		return err
	case st.Pending && (d.Attempt == "" || d.Attempt == st.Attempt):
		d.Attempt = st.Attempt
		e := ambiguous(d, &provider.Error{Op: opDelete, Err: errors.New("the answer to its registration was lost")})
		e.Advice = fmt.Sprintf("Look at the server for a client whose software_id is %s (it may keep none: then by its name) and delete it; then set deletionPolicy: Retain.", st.Attempt)
		return e
	case !st.registered(), st.Owner != d.Owner:
		return nil
	case !st.manageable():
		return s.deleteUnmanaged(ctx, d, caller, &st)
	}
	address, err := s.address(opDelete, &st)
	if err != nil {
		return err
	}
	answer, err := s.api.Write(ctx, caller, provider.Call{
		Op: opDelete, Method: http.MethodDelete, URL: address, Bearer: provider.Secret(st.Token), Done: []int{http.StatusNoContent}, Secrets: st.secrets(),
	})
	switch {
	case err == nil:
		return nil
	case isStatus(answer, http.StatusMethodNotAllowed, http.StatusNotImplemented):
		return s.deleteUnmanaged(ctx, d, caller, &st)
	case isStatus(answer, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound):
		return s.goneOrLost(ctx, d, caller, &st, err)
	default:
		return err
	}
}

// deleteUnmanaged is done when somebody has deleted the client by hand.
func (s *session) deleteUnmanaged(ctx context.Context, d provider.Desired, caller provider.Caller, st *state) error {
	f, err := s.unseen(ctx, opDelete, d, caller, *st)
	if err != nil || !f.exists {
		return err
	}
	s.saw("", provider.Unsupported)
	return s.unmanaged(opDelete, st)
}
