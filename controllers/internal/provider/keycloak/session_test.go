// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	fake "github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

// clock is one that a test moves.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) move(by time.Duration) { c.offset.Add(int64(by)) }

func count(s *fake.Server, match func(fake.Call) bool) int {
	n := 0
	for _, c := range s.Calls() {
		if match(c) {
			n++
		}
	}
	return n
}

func signIns(s *fake.Server) int {
	return count(s, fake.Matching(http.MethodPost, "/protocol/openid-connect/token"))
}

func TestSignInOnce(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := s.Observe(t.Context(), faultDesired()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := signIns(server); got != 1 {
		t.Errorf("signed in %d times", got)
	}
}

func TestSignInBeforeTheEnd(t *testing.T) {
	server, w := fakeWorld(t) // tokens live ten minutes
	c := &clock{}
	s := w.session(t, func(o *keycloak.Options) { o.Clock = c.now })
	for _, step := range []struct {
		by   time.Duration
		want int
	}{{0, 1}, {7 * time.Minute, 1}, {65 * time.Second, 2}} {
		c.move(step.by)
		observed(t, s, faultDesired())
		if got := signIns(server); got != step.want {
			t.Fatalf("after %v more: signed in %d times, want %d", step.by, got, step.want)
		}
	}
}

func TestSignedOut(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	observed(t, s, faultDesired())
	server.SignOut()
	created(t, s, faultDesired())
	if got := signIns(server); got != 2 {
		t.Errorf("signed in %d times, want 2", got)
	}
	server.Inject(fake.Fault{Match: fake.Matching(http.MethodGet, "/clients"), Status: 401, Undone: true})
	before := count(server, fake.Matching(http.MethodGet, "/clients"))
	_, err := s.Observe(t.Context(), faultDesired())
	wantKind(t, err, provider.KindCredentials)
	if got := count(server, fake.Matching(http.MethodGet, "/clients")) - before; got != 2 {
		t.Errorf("asked %d times, want 2", got)
	}
}

// TestSignInCalledOff: who signs in for all may be called off; the others go on.
func TestSignInCalledOff(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	arrived := make(chan struct{})
	server.Inject(fake.Fault{Match: func(c fake.Call) bool {
		if !strings.HasSuffix(c.Path, "/token") {
			return false
		}
		select {
		case <-arrived:
			return false
		default:
			close(arrived)
			return true
		}
	}, Delay: time.Hour, Undone: true})
	leading, callOff := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Observe(leading, faultDesired()); !errors.Is(err, context.Canceled) {
			t.Errorf("the leader's error is %v", err)
		}
	})
	<-arrived
	wg.Go(func() {
		if _, err := s.Observe(t.Context(), faultDesired()); err != nil {
			t.Errorf("the follower's error is %v", err)
		}
	})
	callOff()
	wg.Wait()
}

func TestRetryAfterHoldsForAll(t *testing.T) {
	server, w := fakeWorld(t)
	c := &clock{}
	s := w.session(t, func(o *keycloak.Options) { o.Clock = c.now })
	observed(t, s, faultDesired())
	server.Inject(fake.Fault{Times: 1, Status: 429, Undone: true, Header: map[string]string{"Retry-After": "60"}})
	_, err := s.Observe(t.Context(), faultDesired())
	wantKind(t, err, provider.KindRateLimited)
	calls := len(server.Calls())
	_, err = s.Create(t.Context(), faultDesired(), providertest.Allow)
	if e := errorOf(t, err, provider.KindRateLimited); e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
		t.Errorf("RetryAfter is %v", e.RetryAfter)
	}
	if got := len(server.Calls()); got != calls {
		t.Errorf("%d calls were made all the same", got-calls)
	}
	c.move(61 * time.Second)
	created(t, s, faultDesired())
}

func TestMasked(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	d := created(t, s, faultDesired())
	server.Mask(fake.MaskAlways)
	other := d
	other.Secret, other.DisplayName = "another", "Another name"
	o := observed(t, s, other)
	if diff := cmp.Diff([]string{"name"}, o.Drift); diff != "" {
		t.Fatalf("drift (-want +got):\n%s", diff)
	}
	updated(t, s, other, o)
	server.Mask(fake.MaskNever)
	if got := server.Client(d.ClientID)["secret"]; got != d.Secret.Reveal() {
		t.Error("an update that is not about the secret changed it")
	}
	for _, c := range server.Calls() {
		if strings.Contains(c.Body, "****") {
			t.Errorf("%s sent the mask", c)
		}
	}
}

// TestServerChoseTheSecret: past the expiry that a client policy sets, Keycloak
// answers a PUT with a secret of its own.
func TestServerChoseTheSecret(t *testing.T) {
	server, w := fakeWorld(t)
	s := w.session(t)
	d := created(t, s, faultDesired())
	d.DisplayName = "Another name"
	o := observed(t, s, d)
	var once sync.Once
	server.OnCall(func(c fake.Call) {
		if c.Method == http.MethodPut {
			once.Do(func() { server.EditClient(d.ClientID, map[string]any{"secret": "the-server's"}) })
		}
	})
	_, err := s.Update(t.Context(), d, o, providertest.Allow)
	wantKind(t, err, provider.KindServer)
	o = observed(t, s, d)
	if diff := cmp.Diff([]string{provider.DriftSecret}, o.Drift); diff != "" {
		t.Fatalf("drift (-want +got):\n%s", diff)
	}
	updated(t, s, d, o)
	if got := server.Client(d.ClientID)["secret"]; got != d.Secret.Reveal() {
		t.Error("the secret was not put right")
	}
}

// TestRightsUnknown: a token that does not say (a lightweight one, fine-grained
// permissions) is no reason to refuse.
func TestRightsUnknown(t *testing.T) {
	server, w := fakeWorld(t)
	server.EditClient("operator", map[string]any{"fullScopeAllowed": false})
	report, err := w.session(t).Probe(t.Context())
	if diff := cmp.Diff(provider.Report{Provider: "keycloak", Rights: provider.RightsUnknown}, report); diff != "" || err != nil {
		t.Errorf("error %v, report (-want +got):\n%s", err, diff)
	}
}

// TestRightsGranted: rights that are granted are seen at once, though the token
// lives on.
func TestRightsGranted(t *testing.T) {
	server, w := fakeWorld(t)
	server.SetRoles("operator", "view-clients")
	s := w.session(t)
	_, err := s.Probe(t.Context())
	wantKind(t, err, provider.KindForbidden)
	server.SetRoles("operator", "view-clients", "manage-clients")
	if report, err := s.Probe(t.Context()); err != nil || report.Rights != provider.RightsManage {
		t.Errorf("report %+v, error %v", report, err)
	}
}

func TestNew(t *testing.T) {
	w := newWorld("http://127.0.0.1:1", "acme")
	for name, tc := range map[string]struct {
		reason string
		change func(*keycloak.Options)
		want   string
	}{
		"no realm":  {"the realm is the issuer's last segment", func(o *keycloak.Options) { o.Issuer = "https://sso.example.com/" }, "no"},
		"not ours":  {"an issuer of another server", func(o *keycloak.Options) { o.Issuer = "https://sso.example.com/oauth/acme" }, "no"},
		"no secret": {"no sign-in without a secret", func(o *keycloak.Options) { o.ClientSecret = "" }, "no"},
		"no URL":    {"an address that is none", func(o *keycloak.Options) { o.AdminURL = "keycloak" }, "no"},
		"path":      {"a Keycloak below a path", func(o *keycloak.Options) { o.Issuer = "https://sso.example.com/auth/realms/acme" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.options("operator")
			tc.change(&o)
			if _, err := keycloak.New(o); (err != nil) != (tc.want != "") {
				t.Errorf("%s: error %v", tc.reason, err)
			}
		})
	}
}
