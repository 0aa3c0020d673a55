// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// TestReplicasUnderFire: both replicas are restarted under load, the API server goes away for
// good, Keycloak goes away and comes back, and what stands before it is slow, breaks off,
// answers pages, or answers for somebody else. Through all of it no token passes that must
// not, what was sent is answered, and an outage is never a no.
func TestReplicasUnderFire(t *testing.T) {
	w := stand(t)
	// It leaves no API server behind.
	t.Cleanup(func() {
		if err := spend(!t.Failed()); err != nil {
			t.Error(err)
		}
	})
	l := begin(t, w.callersOf(t), w.bearers(t))
	defer func() {
		l.end()
		l.report(t)
	}()
	l.until(t, "the good token passes", lets)

	for i, r := range w.replicas {
		if err := r.stop(); err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
		if err := r.start(t.Context(), w.plain); err != nil {
			t.Fatalf("replica %d: %v", i, err)
		}
		l.until(t, "the good token passes after a restart", lets)
	}

	if err := w.loseAPIServer(); err != nil {
		t.Fatal(err)
	}
	l.until(t, "the good token passes without an API server", lets)

	if err := w.keycloak.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.until(t, "nobody can tell without Keycloak", cannotTell)
	if err := w.keycloak.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.until(t, "the good token passes again", lets)

	l.through(t, w)
	for i, r := range w.replicas {
		if err := r.ready(t.Context(), w.plain); err != nil {
			t.Errorf("replica %d is not ready without an API server: %v", i, err)
		}
	}
}

// through goes through the accidents, one after the other.
func (l *load) through(t *testing.T, w *world) {
	t.Helper()
	for _, a := range accidents(w) {
		l.lies(a.lies)
		remove := w.proxy.Inject(a.fault)
		l.until(t, a.what, a.holds)
		remove()
		l.until(t, "the good token passes again", lets)
		l.lies(false)
	}
}

// loseAPIServer stops the API server, and what only it is for.
func (w *world) loseAPIServer() error {
	if err := w.controller.stop(); err != nil {
		return err
	}
	if err := w.wire.cut(); err != nil {
		return err
	}
	plane := w.plane
	w.plane = nil
	return plane.Stop()
}

// accident is what happens to introspection on its way.
type accident struct {
	what  string
	fault fault.Fault
	holds func(since *tally) bool
	// lies says that a good token may be refused: somebody said so.
	lies bool
}

// enough is how many questions an accident lasts for, where not all suffer by it.
const enough = 100

func accidents(w *world) []accident {
	asked := fault.Matching(http.MethodPost, "/introspect")
	// Facts are kept for maxAge, so that most questions ask nobody: enough are to go through it.
	some := func(what string, f fault.Fault, oneIn int64) accident {
		var calls atomic.Int64
		f.Match = func(c fault.Call) bool { return asked(c) && calls.Add(1)%oneIn == 0 }
		return accident{what: what, fault: f, holds: func(*tally) bool { return calls.Load() >= enough }}
	}
	answer := func(status int, body string) fault.Fault {
		return fault.Fault{Match: asked, Undone: true, Status: status, Body: body}
	}
	return []accident{
		some("slow", fault.Fault{Delay: 300 * time.Millisecond}, 1),
		some("every third answer is lost", fault.Fault{Drop: true}, 3),
		{what: "half of each answer comes", fault: fault.Fault{Match: asked, Truncate: true}, holds: cannotTellSoon},
		{what: "a page comes as 200", fault: answer(http.StatusOK, fault.HTML), holds: cannotTellSoon},
		{what: "a dead database", fault: answer(http.StatusBadRequest, `{"error":"invalid_request"}`), holds: cannotTellSoon},
		{what: "our credentials are refused", fault: answer(http.StatusUnauthorized, `{"error":"invalid_client"}`), holds: cannotTellSoon},
		{what: "it answers for somebody else", lies: true, holds: refuses, fault: answer(http.StatusOK,
			`{"active":true,"iss":"`+w.keycloak.URL()+`/realms/master","sub":"mallory","aud":["shop.orders","shop.stock"],`+
				`"scope":"orders.read","client_id":"web","typ":"Bearer","token_type":"Bearer","iat":1,"exp":4102444800}`)},
	}
}

// refuses is that the good token does not pass on what was said of another's.
func refuses(since *tally) bool {
	for p := range since {
		if since[p][denied]+since[p][undecided] == 0 {
			return false
		}
	}
	return true
}
