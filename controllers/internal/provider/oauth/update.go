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
		err = provider.Meanwhile(op)
	}
	return f, err
}

// put writes the whole registration (RFC 7592 section 2.2), keeps the answer, and reports whether it brought another
// secret. Without withSecret the server may choose a new one.
func (s *session) put(ctx context.Context, op string, d provider.Desired, caller provider.Caller, f *found, withSecret bool) (anew bool, err error) {
	if f.live == nil {
		return false, s.unmanaged(op, f)
	}
	address, err := s.address(op, &f.st)
	if err != nil {
		return false, err
	}
	metadata := s.metadata(d, f.st.grants())
	body := merged(f.live, metadata)
	body["client_id"] = f.st.ClientID
	if secret := f.secret(); withSecret && secret != nil && metadata[memberMethod] != privateKeyJWT {
		body["client_secret"] = secret
	}
	answer, err := s.api.Write(ctx, caller, provider.Call{
		Op: op, Method: http.MethodPut, URL: address, In: body, Bearer: provider.Secret(f.st.Token), Done: []int{http.StatusOK}, Secrets: f.st.secrets(),
	})
	if err != nil {
		return false, s.notPut(ctx, d, caller, f, answer, err)
	}
	s.saw(seen{update: provider.Supported})
	before, was := f.st.Secret, answered(f.live)
	if _, _, err := f.st.take(answer); err != nil {
		return false, err
	}
	f.answered(answer, metadata)
	anew = f.st.Secret != before && f.st.Secret != ""
	if err := f.st.keep(ctx, caller, anew); err != nil {
		return anew, err
	}
	return anew, s.settle(ctx, op, d, caller, f, was)
}

// settle reads what an answer to an update left out, and the client had before: a server that insists on it would be
// written to for ever.
func (s *session) settle(ctx context.Context, op string, d provider.Desired, caller provider.Caller, f *found, was members) error {
	untold := slices.DeleteFunc(powers(), func(name string) bool {
		_, told := f.st.Got[name]
		return told || was[name] == "" || was[name] == f.st.Asked[name]
	})
	if len(untold) == 0 {
		return nil
	}
	again, err := s.look(ctx, op, d, caller, f.st)
	if err != nil || !again.exists {
		return err
	}
	for _, name := range untold {
		again.st.Got[name] = again.members()[name]
	}
	*f = again
	return f.st.keep(ctx, caller, false)
}

// secret is the client's for an update, which must name it or none (RFC 7592 section 2.2); nil for none. Reads may hide it.
func (f *found) secret() any {
	switch shown := f.live["client_secret"]; {
	case shown != nil && string(shown) != "null":
		return shown
	case f.st.Secret != "":
		return f.st.Secret
	default:
		return nil
	}
}

// answered makes it what the answer to an update with the metadata says.
func (f *found) answered(answer *provider.Answer, metadata map[string]any) {
	var said map[string]json.RawMessage
	_ = json.Unmarshal(answer.Body, &said) // take has read it
	was := answered(f.live)
	f.st.Asked, f.st.Got, f.st.Unmanaged = asked(metadata), answered(said), false
	for name := range f.st.Got {
		if _, shown := was[name]; !shown && f.st.Got[name] != "" && !slices.Contains(f.st.Hidden, name) {
			f.st.Hidden = append(f.st.Hidden, name)
		}
	}
	if said["client_secret"] == nil && metadata[memberMethod] == privateKeyJWT {
		f.st.Secret, f.st.SecretEnds = "", 0 // nothing accepts it any more
	}
	f.live = said
}

// notPut sorts the failures of an update. Where there is nothing to update at an address that answers reads, the server
// reads only (node-oidc-provider, as it comes): that is told by another read.
func (s *session) notPut(ctx context.Context, d provider.Desired, caller provider.Caller, f *found, answer *provider.Answer, err error) error {
	switch {
	case isStatus(answer, http.StatusMethodNotAllowed, http.StatusNotImplemented):
		s.saw(seen{update: provider.Unsupported})
		return s.learned(ctx, answer.Op, caller, f)
	case isStatus(answer, http.StatusNotFound):
		again, err := s.look(ctx, answer.Op, d, caller, f.st)
		if err != nil {
			return err
		}
		if !again.exists {
			return answer.Meanwhile()
		}
		s.saw(seen{update: provider.Unsupported})
		*f = again
		return s.learned(ctx, answer.Op, caller, f)
	case isStatus(answer, http.StatusUnauthorized, http.StatusForbidden):
		if err := s.refused(ctx, d, caller, &f.st, answer, err); err != nil {
			return err
		}
		return answer.Meanwhile()
	default:
		return err
	}
}

// learned keeps that the registration can't be managed, and is the error that says so.
func (s *session) learned(ctx context.Context, op string, caller provider.Caller, f *found) error {
	if f.live != nil && !f.st.Unmanaged {
		f.st.Unmanaged = true
		if err := f.st.keep(ctx, caller, false); err != nil {
			return err
		}
	}
	return s.unmanaged(op, f)
}

// unmanaged is the error where a registration can't be managed.
func (s *session) unmanaged(op string, f *found) error {
	id := provider.Clean(f.st.ClientID)
	e := &provider.Error{
		Kind: provider.KindUnsupported, Op: op, Subject: f.st.ClientID,
		Err:    errors.New("the server does not let registrations be managed (RFC 7592)"),
		Advice: fmt.Sprintf("Undo the change, or delete client %s at the server yourself and have it registered again.", id),
	}
	switch {
	case op == opDelete && f.live == nil: // nobody will see that it was done
		e.Advice = fmt.Sprintf("Delete client %s at the server yourself; spec.deletionPolicy: Retain lets the object go then, where spec.access.retain of its server is Allowed.", id)
	case op == opDelete:
		e.Advice = fmt.Sprintf("Delete client %s at the server yourself.", id)
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
		return ambiguous(d, &provider.Error{Op: opDelete, Err: errors.New("the answer to its registration was lost")})
	case !st.registered(), st.Owner != d.Owner:
		return nil
	case !st.manageable():
		return s.deleteUnmanaged(ctx, d, caller, st)
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
		s.saw(seen{remove: provider.Supported})
		return nil
	case isStatus(answer, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented):
		return s.deleteUnmanaged(ctx, d, caller, st)
	case isStatus(answer, http.StatusUnauthorized, http.StatusForbidden):
		return s.refused(ctx, d, caller, &st, answer, err)
	default:
		return err
	}
}

// deleteUnmanaged looks whether there is anything to delete: done is what a server says that it does not know.
func (s *session) deleteUnmanaged(ctx context.Context, d provider.Desired, caller provider.Caller, st state) error {
	f, err := s.look(ctx, opDelete, d, caller, st)
	if err != nil || !f.exists {
		return err
	}
	s.saw(seen{remove: provider.Unsupported})
	return s.learned(ctx, opDelete, caller, &f)
}
