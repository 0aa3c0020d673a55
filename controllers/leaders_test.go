// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// pause stops a process in the midst of a write: the call is on its way, and arrives when
// it is let through, long after somebody else took the lead.
type pause struct {
	at   func(*http.Request) bool
	held chan struct{}

	mu   sync.Mutex
	slip func() (status int, err error)
}

func (p *pause) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		stays, err := p.hold(next, r)
		if err != nil {
			return nil, err
		}
		if !stays {
			return next.RoundTrip(r)
		}
		close(p.held)
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
}

func (p *pause) hold(next http.RoundTripper, r *http.Request) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slip != nil || !p.at(r) {
		return false, nil
	}
	late := r.Clone(context.WithoutCancel(r.Context()))
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false, err
		}
		late.Body = io.NopCloser(bytes.NewReader(body))
	}
	p.slip = func() (int, error) {
		resp, err := next.RoundTrip(late)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	return true, nil
}

// toServer says that a call goes to the authorization server's administration.
func toServer(method string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == method && !toPlane(r) &&
			(strings.Contains(r.URL.Path, "/admin/") || strings.Contains(r.URL.Path, "/introspection-resources"))
	}
}

// toMounted says that a call writes the Secret of the workload.
func toMounted(r *http.Request) bool {
	return r.Method == http.MethodPut && toPlane(r) && strings.HasSuffix(r.URL.Path, "/secrets/orders")
}

// Two leaders: what the old one slips in is healed at the next look, and there is one
// registration; what is published works from then on.
func TestTwoLeaders(t *testing.T) {
	rotate := func(l *life) { l.annotate(l.o, v1alpha1.AnnotationRotate, "old") }
	again := func(l *life) { // the new leader ends what the old began, and rotates once more
		l.rotated(l.o, "old")
		l.unoverlapped("old")
		l.annotate(l.o, v1alpha1.AnnotationRotate, "new")
		l.rotated(l.o, "new")
	}
	anew := func(l *life) {
		l.gone(l.o)
		l.o = l.clientObject("orders", l.needs)
		l.create(l.o)
		l.ready(l.o)
	}
	for name, tc := range map[string]struct {
		reason string
		at     func(*testing.T) *site
		made   bool
		begins func(*life)
		pauses func(*http.Request) bool
		goesOn func(*life)
		breaks bool // what is published, until the next look
	}{
		"keycloak, an old secret is put":     {"the server has a secret of two rotations ago", keycloakSite(nil), true, rotate, toServer(http.MethodPut), again, true},
		"duende, an old secret is put":       {"the server has a secret of two rotations ago", duendeSite, true, rotate, toServer(http.MethodPut), again, false},
		"keycloak, created twice":            {"it is there already", keycloakSite(nil), false, func(l *life) { l.create(l.o) }, toServer(http.MethodPost), func(l *life) { l.ready(l.o) }, false},
		"duende, created twice":              {"it is there already", duendeSite, false, func(l *life) { l.create(l.o) }, toServer(http.MethodPut), func(l *life) { l.ready(l.o) }, false},
		"keycloak, its mapping is deleted":   {"the scope of the one before has its name; what is published works on", keycloakSite(nil), true, func(l *life) { l.delete(l.o) }, toServer(http.MethodDelete), anew, false},
		"duende, the next one is deleted":    {"its name is that of the one before", duendeSite, true, func(l *life) { l.delete(l.o) }, toServer(http.MethodDelete), anew, true},
		"keycloak, an old secret is mounted": {"its resourceVersion is of before", keycloakSite(nil), true, rotate, toMounted, again, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.at(t)
			s.create(s.server)
			l := &life{site: s, o: s.clientObject("orders", s.needs)}
			s.made = []string{s.tenant + ".orders"}
			if tc.made {
				stop := s.start(nil)
				s.create(l.o)
				s.ready(l.o)
				l.before = s.record(l.o)
				stop()
			}
			tc.begins(l)
			p := &pause{at: tc.pauses, held: make(chan struct{})}
			old := s.start(p.wrap)
			select {
			case <-p.held:
			case <-time.After(patience):
				t.Fatalf("%s: the old leader never wrote", tc.reason)
			}
			old()
			s.start(nil)
			tc.goesOn(l)
			status, err := p.slip()
			if err != nil {
				t.Fatal(err)
			}
			if broken := s.serves(l.o); (broken != nil) != tc.breaks {
				t.Errorf("%s: it was answered with %d, and then: %v", tc.reason, status, broken)
			}
			s.heals(l)
		})
	}
}

// heals looks once, and asserts that all is well afterwards.
func (s *site) heals(l *life) {
	s.t.Helper()
	s.annotate(l.o, "example.com/look", "now")
	s.eventually("it is healed", func(ctx context.Context) error {
		if err := s.isReady(ctx, l.o); err != nil {
			return err
		}
		r := s.recordNow(ctx, l.o)
		if ids := s.registered(); len(ids) != 1 || r == nil || r.Current == nil || r.Rotating() {
			return fmt.Errorf("registered %q, or a credential is under way", ids)
		}
		if err := s.takes(r.Proof(*r.Current)); err != nil {
			return err
		}
		return errors.Join(s.serves(l.o), s.kube.Get(ctx, client.ObjectKeyFromObject(l.o), l.o))
	})
	s.one(l.o)
}

// A write of the record is a fence for a second: after that whoever else wrote it has taken over.
func TestAWriteIsAFenceForASecond(t *testing.T) {
	w, now := newWorld(t), clocktesting.NewFakePassiveClock(time.Now())
	w.config.Clock = now
	store := w.store()
	object := credential.Object{Namespace: w.tenant, Name: "orders"}
	value := credential.NewValue(now.Now())
	ours := &credential.StoredRecord{Record: credential.Record{Object: object, Facade: value, Next: &value}}
	if err := store.SaveRecord(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	s := &clientScope{clientReconciler: &clientReconciler{store: store}, record: ours}
	theirs, err := store.LoadRecord(t.Context(), object)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Fence = "theirs"
	if err := store.SaveRecord(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if err := s.Fence(t.Context()); err != nil {
		t.Errorf("within the second: %v", err)
	}
	now.SetTime(now.Now().Add(fenceLife))
	if err := s.Fence(t.Context()); !apierrors.IsConflict(err) {
		t.Errorf("after it: %v", err)
	}
}
