// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
)

// life is one process's work on one object, to be killed in the midst of it.
type life struct {
	*site

	n        int
	o        *v1alpha1.IntrospectionClient
	clientID string
	before   *credential.StoredRecord
}

func (l *life) value() string { return strconv.Itoa(l.n) }

// path is a way that an object goes, from where it is Ready.
type path struct {
	// change is how the object is made.
	change clientChange
	// ready prepares each life, while a process runs that nobody kills.
	ready func(*life)
	// begin sets the stage, with no process running; nil: the object is made.
	begin func(*life)
	// ended says what is still to come, besides Ready.
	ended func(context.Context, *life) error
	// gone says that the object's end is the path's.
	gone bool
	// retained says that the registration and its record outlive the object.
	retained bool
	// check asserts what only this path has.
	check func(*life)
}

func creation() path { return path{} }

func deletion() path {
	return path{begin: func(l *life) { l.delete(l.o) }, gone: true}
}

func retention() path {
	p := deletion()
	p.change = func(c *v1alpha1.IntrospectionClient) { c.Spec.DeletionPolicy = v1alpha1.DeletionRetain }
	p.retained = true
	return p
}

func edited(edit func(*life, *v1alpha1.IntrospectionClient)) path {
	return path{begin: func(l *life) {
		change(l.world, l.o, func(c *v1alpha1.IntrospectionClient) { edit(l, c) })
	}}
}

func renaming() path {
	return edited(func(l *life, c *v1alpha1.IntrospectionClient) { c.Spec.DisplayName = "Orders " + l.value() })
}

// remapping goes to and fro between all token clients and on request.
func remapping() path {
	return edited(func(l *life, c *v1alpha1.IntrospectionClient) {
		c.Spec.Audience = v1alpha1.ClientAudience{Mode: v1alpha1.AudienceOnRequest}
		if l.n%2 == 0 {
			c.Spec.Audience.Mode = v1alpha1.AudienceDefault
		}
	})
}

// narrowing goes to and fro between two token clients and one.
func narrowing() path {
	return edited(func(l *life, c *v1alpha1.IntrospectionClient) {
		c.Spec.Audience.TokenClients = []string{"mobile"}
		if l.n%2 == 0 {
			c.Spec.Audience.TokenClients = []string{tokenClient, "mobile"}
		}
	})
}

func rescoping() path {
	return edited(func(l *life, c *v1alpha1.IntrospectionClient) {
		c.Spec.Scopes = []string{ordersScope, "orders.write"}
		if l.n%2 == 0 {
			c.Spec.Scopes = []string{ordersScope}
		}
	})
}

// rekeying goes to and fro between a secret and a key.
func rekeying() path {
	p := edited(func(l *life, c *v1alpha1.IntrospectionClient) {
		c.Spec.Authentication.Method = v1alpha1.MethodPrivateKeyJWT
		if l.before.Current.PrivateKey != "" {
			c.Spec.Authentication.Method = v1alpha1.MethodClientSecret
		}
	})
	p.ended = func(ctx context.Context, l *life) error {
		if r := l.recordNow(ctx, l.o); r.Rotating() || (r.Current.PrivateKey != "") == (l.before.Current.PrivateKey != "") {
			return errors.New("it has the method that it had")
		}
		return nil
	}
	return p
}

func rotation() path {
	return path{
		ready: func(l *life) { l.unoverlapped("before " + l.value()) },
		begin: func(l *life) { l.annotate(l.o, v1alpha1.AnnotationRotate, l.value()) },
		ended: func(ctx context.Context, l *life) error { return l.hasRotated(ctx, l.o, l.value()) },
		check: func(l *life) { l.holds(l.o, l.record(l.o), l.before, v1alpha1.EndpointWebhook) },
	}
}

func revocation() path {
	return path{
		ready: func(l *life) {
			l.unoverlapped("before " + l.value())
			l.annotate(l.o, v1alpha1.AnnotationRotate, l.value())
			l.rotated(l.o, l.value())
		},
		begin: func(l *life) { l.annotate(l.o, v1alpha1.AnnotationRevokePrevious, l.value()) },
		ended: func(ctx context.Context, l *life) error { return l.overlaps(ctx, l.value()) },
		check: func(l *life) {
			if p := l.projected(l.o); len(p.FacadeSecrets) != 1 || len(p.Credentials) != 1 {
				l.t.Errorf("the webhook knows %d secrets and %d credentials", len(p.FacadeSecrets), len(p.Credentials))
			}
			if l.before.Previous == nil {
				return
			}
			if l.takes(l.before.Proof(*l.before.Previous)) == nil {
				l.t.Error("the server takes what was revoked")
			}
		},
	}
}

func (l *life) overlaps(ctx context.Context, revoked string) error {
	if r := l.recordNow(ctx, l.o); r.Revoked != revoked || r.Overlaps() {
		return fmt.Errorf("revoked %q, overlap %t", r.Revoked, r.Overlaps())
	}
	return nil
}

func (l *life) unoverlapped(value string) {
	l.t.Helper()
	l.annotate(l.o, v1alpha1.AnnotationRevokePrevious, value)
	l.eventually("no overlap", func(ctx context.Context) error { return l.overlaps(ctx, value) })
}

func drift() path {
	return path{
		begin: func(l *life) {
			if l.edit(l.clientID); !l.edited(l.clientID) {
				l.t.Fatal("nothing was changed by hand")
			}
		},
		ended: func(_ context.Context, l *life) error {
			if l.edited(l.clientID) {
				return errors.New("what was changed by hand stands")
			}
			return nil
		},
	}
}

// restoration is of a server from a backup that does not know the client yet.
func restoration() path {
	return path{
		begin: func(l *life) { l.remove(l.clientID) },
		ended: func(ctx context.Context, l *life) error {
			r := l.recordNow(ctx, l.o)
			if len(l.registered()) == 0 || r == nil || r.Current == nil || r.Next != nil || r.ClientID != l.o.Status.ClientID {
				return errors.New("it is not registered again")
			}
			return l.serves(l.o)
		},
		check: func(l *life) {
			if r := l.record(l.o); r.Facade.Secret != l.before.Facade.Secret {
				l.t.Error("workloads were given another secret")
			}
		},
	}
}

// walk kills a process at each of its calls on a path. dies, if not empty, is why what is
// published may fail while no process runs.
func (s *site) walk(name string, p path, dies string) (points int) {
	s.t.Helper()
	s.create(s.server)
	foreign := s.foreign()
	l := &life{site: s}
	return s.lives(name, story{
		run: s.begin, every: s.every,
		between: func(n int) client.Object { return s.next(l, p, n) },
		prepare: func(o client.Object) {
			if p.begin == nil {
				s.create(o)
				return
			}
			p.begin(l)
		},
		dead: func(_ client.Object, at string) {
			if p.begin == nil || p.gone || dies != "" {
				return
			}
			if err := s.serves(l.o); err != nil {
				s.t.Errorf("after %s: %v", at, err)
			}
		},
		done: func(ctx context.Context, o client.Object) error {
			if p.gone {
				return s.isGone(ctx, o)
			}
			err := s.isReady(ctx, o)
			if err == nil && p.ended != nil {
				err = p.ended(ctx, l)
			}
			if err == nil {
				err = s.isProjected(ctx, l.o)
			}
			return err
		},
		check: func(client.Object) {
			if p.gone {
				s.leftBehind(l, p.retained)
			} else {
				s.one(l.o)
			}
			if p.check != nil {
				p.check(l)
			}
			if now := s.foreign(); !reflect.DeepEqual(now, foreign) {
				s.t.Errorf("what is not ours was touched:\n was %v\n is  %v", foreign, now)
			}
		},
	})
}

// next is the object of the next life: another one where the last is gone, or was made.
func (s *site) next(l *life, p path, n int) client.Object {
	s.t.Helper()
	l.n = n + 1
	if l.o == nil || p.gone || p.begin == nil {
		if l.o != nil && !p.gone {
			s.giveUp(l.o)
			s.leftBehind(l, false)
		}
		if p.retained && l.o != nil {
			s.remove(l.clientID)
		}
		l.o = s.clientObject(fmt.Sprintf("orders-%d", l.n), s.needs)
		if p.change != nil {
			p.change(l.o)
		}
		s.made = append(s.made, s.tenant+"."+l.o.Name)
		if p.begin == nil {
			return l.o
		}
		s.create(l.o)
	}
	s.ready(l.o)
	if p.ready != nil {
		p.ready(l)
		s.ready(l.o)
	}
	l.before = s.record(l.o)
	l.clientID = l.before.ClientID
	return l.o
}

// leftBehind asserts that a client which is gone left nothing but what it was to retain.
func (s *site) leftBehind(l *life, retained bool) {
	s.t.Helper()
	if ids := s.registered(); (len(ids) == 1) != retained || len(ids) > 1 {
		s.t.Errorf("registered: %q", ids)
	}
	s.secretsLeft(l.o, retained)
}
