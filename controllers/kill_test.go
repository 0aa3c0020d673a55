// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// killer is a process's end at one of its calls: the call is not made, or it is
// made and its answer never arrives; and no call is made after it.
type killer struct {
	at    int
	after bool
	point func(*http.Request) bool
	end   func() // of a real process; nil: its calls end

	mu     sync.Mutex
	all    int
	seen   int // of them, points
	name   string
	killed chan struct{}
}

func newKiller(at int, after bool, point func(*http.Request) bool) *killer {
	return &killer{at: at, after: after, point: point, killed: make(chan struct{})}
}

var errKilled = errors.New("the process is dead")

// counts says which calls a process can be killed at: all to the authorization
// server, and to the API server all writes and all live reads. Watches and the
// lists that fill caches change nothing; Events are told and forgotten.
func counts(r *http.Request) bool {
	path := r.URL.Path
	switch {
	case !toPlane(r):
		return true
	case strings.Contains(path, "/events"), strings.Contains(path, "/leases"):
		return false
	case r.Method == http.MethodGet:
		return strings.Contains(path, "/secrets/") // a collection is a cache's
	default:
		return strings.Contains(path, "/secrets") || strings.Contains(path, "introspection.dev")
	}
}

// toPlane says that a call goes to the API server.
func toPlane(r *http.Request) bool {
	return strings.Contains(plane.Config().Host, r.URL.Host) // with or without a scheme
}

// changes says which calls leave the world another than it was.
func changes(r *http.Request) bool {
	path := r.URL.Path
	switch {
	case !counts(r):
		return false
	case r.Method == http.MethodGet:
		return !toPlane(r) && strings.Contains(path, "/register/") // an answer may bring another access token (RFC 7592 2.1)
	default:
		return toPlane(r) || (!strings.HasSuffix(path, "/token") && !strings.HasSuffix(path, "/introspect"))
	}
}

func (k *killer) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		dead, last := k.count(r)
		if dead {
			<-r.Context().Done()
			return nil, errKilled
		}
		if !last {
			return next.RoundTrip(r)
		}
		if k.after { // the work is done, and nobody learns of it
			if resp, err := next.RoundTrip(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}
		close(k.killed)
		<-r.Context().Done()
		return nil, errKilled
	})
}

func (k *killer) count(r *http.Request) (dead, last bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen >= k.at {
		return counts(r), false // watches of a dead process may run on: they change nothing
	}
	if !counts(r) {
		return false, false
	}
	k.all++
	if !k.point(r) {
		return false, false
	}
	k.seen++
	k.name = r.Method + " " + r.URL.Path
	return false, k.seen == k.at
}

// calls is how many there were.
func (k *killer) calls() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// story is what a process does over and over, to be killed in the midst of it.
type story struct {
	// between makes the next object, while a process runs that nobody kills.
	between func(n int) client.Object
	// prepare sets the stage, with no process running.
	prepare func(client.Object)
	// dead, if set, says whether all is as it may be while no process runs, and name the call that was the last.
	dead func(o client.Object, name string)
	// run, if set, starts a process, which lives on without a killer; nil: within this one.
	run func(*killer) (stop func())
	// every is how many points are passed for one that is killed at; 0 for none.
	every int
	// done says whether the story has ended well, and check whether all is as it should be then.
	done  func(context.Context, client.Object) error
	check func(client.Object)
}

// lives runs one life after the other, each killed at a later call than the last, until one is
// not killed any more. A second process puts right what the first left.
//
// A dead process remembers nothing: what its death leaves is told by what was written. To die
// before a call, or once its answer has arrived, is to die when the answer to the write before
// it was lost. So a life ends at each write; with KILL=all (make crash) also before and after
// each call, reads too.
func (w *world) lives(what string, s story) (points int) {
	w.t.Helper()
	point, deaths := changes, []bool{true}
	if os.Getenv("KILL") == "all" {
		point, deaths = counts, []bool{false, true}
	}
	run := s.run
	if run == nil {
		run = w.run
	}
	second := run(nil)
	for n := 1; ; n += max(s.every, 1) {
		for _, after := range deaths {
			o := s.between(points)
			second()
			s.prepare(o)
			k := newKiller(n, after, point)
			first := run(k)
			finished := w.killedOrDone(k, o, s.done)
			first()
			if finished {
				s.check(o)
				w.t.Attr("killed-at-points", strconv.Itoa(points))
				w.t.Logf("%s: killed at %d points", what, points)
				return points
			}
			points++
			if s.dead != nil {
				s.dead(o, k.name)
			}
			second = run(nil)
			w.eventually(fmt.Sprintf("%s, killed at call %d (%s, after it: %t)", what, n, k.name, after), func(ctx context.Context) error { return s.done(ctx, o) })
			s.check(o)
			if w.t.Failed() {
				w.t.Fatalf("%s: wrong after a death at call %d (%s, after it: %t)", what, n, k.name, after)
			}
		}
	}
}

// run starts a process within this one.
func (w *world) run(k *killer) (stop func()) {
	w.t.Helper()
	if k == nil {
		return w.start(nil)
	}
	return w.start(k.wrap)
}

func (w *world) killedOrDone(k *killer, o client.Object, done func(context.Context, client.Object) error) (finished bool) {
	w.t.Helper()
	limit := time.After(patience)
	settled := -1 // what was seen when it was done: what is done may have calls to come
	for {
		select {
		case <-k.killed:
			return false
		case <-limit:
			w.t.Fatalf("neither killed nor done: %v", done(w.t.Context(), o))
		case <-time.After(20 * time.Millisecond):
			seen := k.calls()
			if done(w.t.Context(), o) != nil {
				seen = -1
			}
			if seen >= 0 && seen == settled {
				return true
			}
			settled = seen
		}
	}
}

// Exactly one registration, whatever crashes (creation).
func TestKilledAtEachCallOfACreation(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	foreign := w.strangers()
	var last client.Object
	points := w.lives("creation", story{
		between: func(n int) client.Object {
			if last != nil {
				w.remove(last)
			}
			last = w.clientObject(fmt.Sprintf("orders-%d", n))
			return last
		},
		prepare: w.create,
		done:    w.isReady,
		check: func(o client.Object) {
			w.oneRegistration(o.(*v1alpha1.IntrospectionClient))
			w.untouched(foreign)
		},
	})
	if points < 8 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}

// Nothing is left behind, whatever crashes (deletion).
func TestKilledAtEachCallOfADeletion(t *testing.T) {
	w := newWorld(t)
	w.create(w.serverObject())
	foreign := w.strangers()
	points := w.lives("deletion", story{
		between: func(n int) client.Object {
			o := w.clientObject(fmt.Sprintf("orders-%d", n))
			w.create(o)
			w.ready(o)
			return o
		},
		prepare: w.delete,
		done:    w.isGone,
		check: func(o client.Object) {
			w.nothingLeft(o)
			w.untouched(foreign)
		},
	})
	if points < 4 {
		t.Errorf("killed at %d points only: the harness does not see the calls", points)
	}
}

func (w *world) isReady(ctx context.Context, o client.Object) error {
	if err := w.kube.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return err
	}
	for _, c := range conditionsOf(o) {
		if c.Type == v1alpha1.ConditionReady && c.Status == "True" && c.ObservedGeneration == o.GetGeneration() {
			return nil
		}
	}
	return errors.New(describe(conditionsOf(o)))
}

// remove deletes a client and waits for its end.
func (w *world) remove(o client.Object) {
	w.t.Helper()
	w.giveUp(o)
	w.nothingLeft(o)
}

// oneRegistration asserts one registration, one credential, and that all hold the same.
func (w *world) oneRegistration(o *v1alpha1.IntrospectionClient) {
	w.t.Helper()
	clientID := o.Namespace + "." + o.Name
	registered := w.idp.Client(clientID)
	if registered == nil {
		w.t.Fatalf("%s is not registered", clientID)
	}
	record := w.record(o)
	if record == nil || record.Current == nil || record.Next != nil {
		w.t.Fatalf("the record of %s is not that of one credential in use", clientID)
	}
	if registered["secret"] != record.Current.Secret.Reveal() {
		w.t.Errorf("the server's secret of %s is not the record's", clientID)
	}
	if registered["id"] != record.RegistrationID || o.Status.RegistrationID != record.RegistrationID {
		w.t.Errorf("the registration is %v, the record says %s, the status %s", registered["id"], record.RegistrationID, o.Status.RegistrationID)
	}
	mounted := w.secret(o.Namespace, o.Name)
	if got := string(mounted.Data["client_secret"]); got != record.Facade.Secret.Reveal() || got == record.Current.Secret.Reveal() {
		w.t.Error("the mounted secret is not the workload's own")
	}
	projected, err := credential.DecodeWebhookClient(w.secret(w.config.WebhookNamespace, "client-"+record.Object.Hash()).Data)
	if err != nil || !reflect.DeepEqual(projected, record.Project()) {
		w.t.Errorf("the webhook's record is another (%v)", err)
	}
	defaults, optional := w.idp.Attached(tokenClient)
	if n := count(defaults, "introspection:"+clientID) + count(optional, "introspection:"+clientID); n != 1 {
		w.t.Errorf("the audience is mapped %d times: %v, %v", n, defaults, optional)
	}
}

// nothingLeft asserts that a client which is gone left nothing.
func (w *world) nothingLeft(o client.Object) {
	w.t.Helper()
	clientID := o.GetNamespace() + "." + o.GetName()
	if w.idp.Client(clientID) != nil {
		w.t.Errorf("%s is still registered", clientID)
	}
	if w.idp.Scope("introspection:"+clientID) != nil {
		w.t.Errorf("the scope of %s is still there", clientID)
	}
	w.secretsLeft(o, false)
}

// secretsLeft asserts which Secrets of a client are there that is gone: those that it was to retain.
func (w *world) secretsLeft(o client.Object, retained bool) {
	w.t.Helper()
	for key, stays := range map[client.ObjectKey]bool{
		w.leftover(o, credential.KindRecord): retained,
		w.leftover(o, credential.KindClient): false,
		client.ObjectKeyFromObject(o):        retained,
	} {
		if err := w.kube.Get(w.t.Context(), key, &corev1.Secret{}); client.IgnoreNotFound(err) != nil || (err == nil) != stays {
			w.t.Errorf("Secret %s is there: %t (%v)", key, err == nil, err)
		}
	}
}

// strangers are what is not ours at the server, as it is now.
func (w *world) strangers() map[string]any {
	found := map[string]any{}
	for _, id := range []string{operatorID, tokenClient, "mobile"} {
		found[id] = w.idp.Client(id)
	}
	return found
}

// untouched asserts that what is not ours is as it was, but for what is attached.
func (w *world) untouched(before map[string]any) {
	w.t.Helper()
	for id, was := range before {
		is := w.idp.Client(id)
		for _, representation := range []map[string]any{was.(map[string]any), is} {
			delete(representation, "defaultClientScopes")
			delete(representation, "optionalClientScopes")
		}
		if !reflect.DeepEqual(was, is) {
			w.t.Errorf("client %s was touched:\n was %v\n is  %v", id, was, is)
		}
	}
}

func count(list []string, wanted string) int {
	n := 0
	for _, s := range list {
		if s == wanted {
			n++
		}
	}
	return n
}

// recorder notes the calls that pass.
type recorder struct {
	mu    sync.Mutex
	calls []string
}

func (r *recorder) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		r.mu.Lock()
		r.calls = append(r.calls, req.Method+" "+req.URL.Path)
		r.mu.Unlock()
		return next.RoundTrip(req)
	})
}

func (r *recorder) count(method, suffix string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if strings.HasPrefix(c, method+" ") && strings.HasSuffix(c, suffix) {
			n++
		}
	}
	return n
}

// writes are those to the API server.
func (r *recorder) writes() (found []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if !strings.HasPrefix(c, "GET ") && (strings.Contains(c, " /api/") || strings.Contains(c, " /apis/")) {
			found = append(found, c)
		}
	}
	return found
}
