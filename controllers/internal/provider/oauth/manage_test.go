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
			w.record.desired.DisplayName = "Orders 2"
			if o, err := w.observe(); err != nil || !o.Unmanaged || !slices.Contains(o.Drift, "client_name") {
				t.Errorf("a wish that can't be met is no less a wish: %+v, error %v", o, err)
			}
			w.is(w.update(), provider.KindUnsupported, id)
			w.is(w.delete(), provider.KindUnsupported, "deletionPolicy: Retain and delete client "+id)
			w.turn()
			if r, err := w.rotate(); err != nil || r.Rotated || r.Overlap != provider.OverlapNone {
				t.Errorf("a rotation: %+v, error %v", r, err)
			}
			w.Remove(id)
			if o, err := w.observe(); err != nil || o.Exists {
				t.Errorf("its credentials are refused: %+v, error %v", o, err)
			}
			if err := w.delete(); err != nil {
				t.Errorf("somebody deleted it, as the advice said: %v", err)
			}
		})
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
