// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	idp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

func TestDrift(t *testing.T) {
	w := start(t, idp.Options{Forget: []string{"scope"}})
	w.record.desired.Scopes = []string{"orders.read"}
	w.created()
	w.wantWell() // the server knows no scopes: that is no drift
	id := w.record.desired.ClientID
	w.Change(id, func(m map[string]any) {
		m["grant_types"] = []any{"client_credentials"}
		m["note"] = "by hand"
		delete(m, "client_name")
	})
	o, err := w.observe()
	if diff := cmp.Diff([]string{"client_name", "grant_types"}, o.Drift); err != nil || diff != "" {
		t.Errorf("error %v, drift (-want +got):\n%s", err, diff)
	}
	if err := w.update(); err != nil {
		t.Fatal(err)
	}
	w.wantWell()
	got := w.Metadata(id)
	if got["note"] != "by hand" || got["client_name"] != "Orders" || got["software_id"] != w.record.desired.Attempt {
		t.Errorf("after the repair: %v", got)
	}
	if err := w.update(); err != nil || w.puts() != 1 {
		t.Errorf("nothing drifted, and %d updates, error %v", w.puts(), err)
	}
	w.record.fence = errors.New("somebody else has it")
	w.record.desired.DisplayName = "Orders 2"
	if err := w.update(); !errors.Is(err, w.record.fence) || w.puts() != 1 {
		t.Errorf("error %v, %d updates", err, w.puts())
	}
}

// TestHiddenMember: a server that shows a member in answers to writes only is written to once for it, and not for ever.
func TestHiddenMember(t *testing.T) {
	w := start(t, idp.Options{})
	w.created()
	w.at(http.MethodGet, "/register/", fault.Fault{Status: http.StatusOK, Body: `{"client_id":"` + w.record.desired.ClientID + `"}`})
	for range 3 {
		if err := w.update(); err != nil {
			t.Fatal(err)
		}
	}
	w.wantWell()
	if n := w.puts(); n != 1 {
		t.Errorf("%d updates", n)
	}
}

// TestNoManagement: without RFC 7592 there is Retain, and deletion by hand.
func TestNoManagement(t *testing.T) {
	for name, o := range map[string]idp.Options{"nothing named": {NoManagement: true}, "not allowed": {}} {
		t.Run(name, func(t *testing.T) {
			w := start(t, o)
			w.created()
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
				w.at(method, "/register/", fault.Fault{Undone: true, Status: http.StatusMethodNotAllowed, Body: "{}"})
			}
			w.wantWell()
			id := w.record.desired.ClientID
			wantRemove := provider.SupportUnknown // the method was named, and not tried
			if o.NoManagement {
				wantRemove = provider.Unsupported
			}
			s := w.session()
			if _, err := s.Observe(t.Context(), w.record.desired, w.record); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([3]provider.Support{provider.Unsupported, provider.Unsupported, wantRemove}, w.can(s)); diff != "" {
				t.Errorf("read, update, delete (-want +got):\n%s", diff)
			}
			w.record.desired.DisplayName = "Orders 2"
			if o, err := w.observe(); err != nil || !o.Unmanaged || !slices.Contains(o.Drift, "client_name") {
				t.Errorf("a wish that can't be met is no less a wish: %+v, error %v", o, err)
			}
			w.is(w.update(), provider.KindUnsupported, id)
			w.is(w.delete(), provider.KindUnsupported, "Delete client "+id)
			w.is(w.delete(), provider.KindUnsupported, "spec.access.retain")
			w.turn()
			if r, err := w.rotate(); err != nil || r.Rotated || r.Overlap != provider.OverlapNone {
				t.Errorf("a rotation: %+v, error %v", r, err)
			}
			w.Remove(id)
			if o, err := w.observe(); err != nil || !o.Exists || !o.Unmanaged {
				t.Errorf("that its credentials are refused says nothing: %+v, error %v", o, err)
			}
			w.is(w.delete(), provider.KindUnsupported, "")
			if err := w.create(); err != nil || len(w.Registered()) != 0 {
				t.Errorf("registered before: error %v, now %q", err, w.Registered())
			}
		})
	}
}

// TestReadOnly: a server that gives the means and lets a client be read only, as node-oidc-provider comes.
func TestReadOnly(t *testing.T) {
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			w := start(t, idp.Options{ReadOnly: true})
			w.created()
			s := w.session()
			if o, err := s.Observe(t.Context(), w.record.desired, w.record); err != nil || o.Unmanaged {
				t.Errorf("nothing was tried yet: %+v, error %v", o, err)
			}
			want := [3]provider.Support{provider.Supported, provider.SupportUnknown, provider.SupportUnknown}
			if diff := cmp.Diff(want, w.can(s)); diff != "" {
				t.Errorf("read, update, delete (-want +got):\n%s", diff)
			}
			id := w.record.desired.ClientID
			if method == http.MethodPut {
				w.record.desired.DisplayName = "Orders 2"
				_, err := s.Update(t.Context(), w.record.desired, provider.Observation{}, w.record)
				w.is(w.hushed(err), provider.KindUnsupported, id)
				want[1] = provider.Unsupported
			} else {
				err := s.Delete(t.Context(), w.record.desired, w.record)
				w.is(w.hushed(err), provider.KindUnsupported, "Delete client "+id)
				want[2] = provider.Unsupported
			}
			if diff := cmp.Diff(want, w.can(s)); diff != "" {
				t.Errorf("read, update, delete (-want +got):\n%s", diff)
			}
			if o, err := w.observe(); err != nil || !o.Exists || !o.Unmanaged || o.Overlap != provider.OverlapNone {
				t.Errorf("another process knows it too: %+v, error %v", o, err)
			}
			if r, err := w.session().Create(t.Context(), w.record.desired, w.record); err != nil || !r.Unmanaged {
				t.Errorf("so does another creation: %+v, error %v", r, err)
			}
			w.turn()
			if r, err := w.rotate(); err != nil || r.Rotated || r.Overlap != provider.OverlapNone {
				t.Errorf("a rotation: %+v, error %v", r, err)
			}
			w.Remove(id)
			if err := w.delete(); err != nil {
				t.Errorf("somebody deleted it, as the advice said: %v", err)
			}
		})
	}
}

// can is what a session says of reading, changing and deleting.
func (w *world) can(s provider.Server) [3]provider.Support {
	w.t.Helper()
	r, err := s.Probe(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return [3]provider.Support{r.Capabilities.Read, r.Capabilities.Update, r.Capabilities.Delete}
}

// TestDeletedMeanwhile: a client that is gone between the look and the change is no sign of a server that reads only.
func TestDeletedMeanwhile(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusNotFound} {
		w := start(t, idp.Options{})
		w.created()
		id := w.record.desired.ClientID
		w.OnCall(func(c fault.Call) {
			if c.Method == http.MethodGet {
				w.Remove(id)
			}
		})
		w.once(http.MethodPut, "/register/", refused(status))
		w.record.desired.DisplayName = "Orders 2"
		w.is(w.update(), provider.KindServer, "")
		if o, err := w.observe(); err != nil || o.Exists {
			t.Errorf("%d: observed %+v, error %v", status, o, err)
		}
	}
}

// TestNewsWhileRefused: what the look after a refused change brings anew is not written over.
func TestNewsWhileRefused(t *testing.T) {
	w := start(t, idp.Options{ReadOnly: true})
	w.created()
	w.OnCall(func(c fault.Call) {
		if c.Method == http.MethodPut {
			w.ReplaceSecret(w.record.desired.ClientID)
		}
	})
	w.record.desired.DisplayName = "Orders 2"
	w.is(w.update(), provider.KindUnsupported, "")
	w.record.keep = errors.New("there is nothing new")
	if _, err := w.observe(); err != nil {
		t.Error(err)
	}
}

// TestManagedAgain: what was turned on at the server, or never was off, is found out by the next change.
func TestManagedAgain(t *testing.T) {
	w := start(t, idp.Options{})
	w.created()
	w.record.desired.DisplayName = "Orders 2"
	w.once(http.MethodPut, "/register/", fault.Fault{Undone: true, Status: http.StatusNotFound, Body: "Not Found"})
	w.is(w.update(), provider.KindUnsupported, "")
	if o, err := w.observe(); err != nil || !o.Unmanaged {
		t.Errorf("observed %+v, error %v", o, err)
	}
	if err := w.update(); err != nil {
		t.Fatal(err)
	}
	if o, err := w.observe(); err != nil || o.Unmanaged {
		t.Errorf("observed %+v, error %v", o, err)
	}
}

// TestUntold: what a creation's answer leaves out was not there. A server that insists on it is asked once.
func TestUntold(t *testing.T) {
	members := []string{"grant_types", "redirect_uris", "response_types"}
	w := start(t, idp.Options{Untold: members})
	w.created()
	w.wantWell()
	byHand := func(m map[string]any) {
		m["grant_types"], m["response_types"] = []any{"authorization_code"}, []any{"code"}
		m["redirect_uris"] = []any{"https://evil.example.com"}
	}
	for range 2 {
		w.Change(w.record.desired.ClientID, byHand)
		if o, err := w.observe(); err != nil || !cmp.Equal([]string{"grant_types", "response_types", "redirect_uris"}, o.Drift) {
			t.Errorf("drift %q, error %v", o.Drift, err)
		}
		if err := w.update(); err != nil {
			t.Fatal(err)
		}
		w.wantWell()
	}

	w = start(t, idp.Options{Untold: members, NeedGrant: true})
	w.created()
	w.once(http.MethodGet, "/register/", fault.Fault{Status: http.StatusOK, Body: `{"client_id":"` + w.record.desired.ClientID + `","grant_types":[],"client_name":"Orders","token_endpoint_auth_method":"client_secret_basic"}`})
	w.wantWell() // less than it was asked for does no harm

	w = start(t, idp.Options{Untold: members, Fixed: members})
	w.created()
	w.Change(w.record.desired.ClientID, byHand)
	for range 3 {
		if err := w.update(); err != nil {
			t.Fatal(err)
		}
	}
	w.wantWell()
	if n := w.puts(); n != 1 {
		t.Errorf("%d updates", n)
	}
}

func TestDelete(t *testing.T) {
	w := start(t, idp.Options{})
	if err := w.delete(); err != nil || len(w.Calls()) != 1 {
		t.Errorf("nothing was registered: error %v, %d calls", err, len(w.Calls()))
	}
	w.created()
	ours := w.record.desired.Owner
	w.record.desired.Owner = "i/shop/other"
	if err := w.delete(); err != nil || len(w.Registered()) != 1 {
		t.Errorf("somebody else's: error %v, %d left", err, len(w.Registered()))
	}
	if o, err := w.observe(); err != nil || o.Owner != ours {
		t.Errorf("somebody else's: %+v, error %v", o, err)
	}
	w.is(w.update(), provider.KindConflict, "")
	w.record.desired.Owner = ours
	// The answer is lost, and the next time it is gone.
	w.once(http.MethodDelete, "/register/", fault.Fault{Drop: true})
	w.is(w.delete(), provider.KindUnreachable, "")
	if err := w.delete(); err != nil || len(w.Registered()) != 0 {
		t.Errorf("error %v, %d left", err, len(w.Registered()))
	}
}
