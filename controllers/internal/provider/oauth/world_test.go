// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/oauth"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	idp "github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

const initial = "initial-access-token"

// world is an embedded server, and the record of one client of it.
type world struct {
	*idp.Server
	t      *testing.T
	config provider.Config
	record *record
}

// start runs a server, which needs an initial access token unless the options say otherwise.
func start(t *testing.T, o idp.Options) *world {
	t.Helper()
	if o.InitialAccessToken == "" {
		o.InitialAccessToken = initial
	}
	server := idp.New(o)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Server: server, t: t}
	client, err := provider.NewHTTPClient(provider.HTTPOptions{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	w.config = provider.Config{
		Issuer: server.Issuer(), URL: server.URL(), SignIn: provider.SignIn{InitialAccessToken: provider.Secret(o.InitialAccessToken)},
		HTTPClient: client, Clock: time.Now,
	}
	if w.config.Metadata, err = provider.Discover(t.Context(), client, server.Issuer(), server.URL()); err != nil {
		t.Fatal(err)
	}
	w.record = &record{w: w, desired: provider.Desired{
		Identity:    provider.Identity{Owner: "i/shop/orders"},
		DisplayName: "Orders", Attempt: rand.Text(),
		Credentials: provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret}},
	}}
	return w
}

// session is a new one: what was in memory is gone.
func (w *world) session() provider.Server {
	w.t.Helper()
	s, err := oauth.Dialect().New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) create() error {
	w.t.Helper()
	_, err := w.session().Create(w.t.Context(), w.record.desired, w.record)
	return w.hushed(err)
}

func (w *world) created() {
	w.t.Helper()
	if err := w.create(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) observe() (provider.Observation, error) {
	w.t.Helper()
	o, err := w.session().Observe(w.t.Context(), w.record.desired, w.record)
	return o, w.hushed(err)
}

// wantWell fails unless the registration is there and as it should be.
func (w *world) wantWell() {
	w.t.Helper()
	if o, err := w.observe(); err != nil || !o.Exists || len(o.Drift) > 0 || o.Owner != w.record.desired.Owner {
		w.t.Errorf("observed %+v, error %v", o, err)
	}
}

func (w *world) update() error {
	w.t.Helper()
	_, err := w.session().Update(w.t.Context(), w.record.desired, provider.Observation{}, w.record)
	return w.hushed(err)
}

func (w *world) rotate() (provider.Rotation, error) {
	w.t.Helper()
	r, err := w.session().Rotate(w.t.Context(), w.record.desired, w.record)
	return r, w.hushed(err)
}

func (w *world) delete() error {
	w.t.Helper()
	return w.hushed(w.session().Delete(w.t.Context(), w.record.desired, w.record))
}

// hushed fails the test if an error says a secret.
func (w *world) hushed(err error) error {
	w.t.Helper()
	if err == nil {
		return nil
	}
	said := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, secret := range append(w.record.secrets, initial) {
		if strings.Contains(said, secret) {
			w.t.Errorf("a secret is in the error: %s", said)
		}
	}
	return err
}

// is fails the test unless the error is of a kind, and says what to do.
func (w *world) is(err error, kind provider.Kind, advice string) {
	w.t.Helper()
	_ = w.wanted(err, kind, advice)
}

// wanted is the error that it is.
func (w *world) wanted(err error, kind provider.Kind, advice string) *provider.Error {
	w.t.Helper()
	e, ok := errors.AsType[*provider.Error](err)
	if !ok || e.Kind != kind || !strings.Contains(e.Advice, advice) {
		w.t.Fatalf("error %v (%+v), want kind %d and advice with %q", err, e, kind, advice)
	}
	return e
}

// posts counts the registrations that arrived.
func (w *world) posts() int {
	n := 0
	for _, c := range w.Calls() {
		if c.Method == http.MethodPost && c.Path == "/register" {
			n++
		}
	}
	return n
}

// puts counts the updates that arrived.
func (w *world) puts() int {
	n := 0
	for _, c := range w.Calls() {
		if c.Method == http.MethodPut {
			n++
		}
	}
	return n
}

// at is a fault at the calls of a method, under a path.
func (w *world) at(method, path string, f fault.Fault) {
	w.t.Helper()
	f.Match = fault.Matching(method, path)
	w.t.Cleanup(w.Inject(f))
}

// once is at, for the next call only.
func (w *world) once(method, path string, f fault.Fault) {
	w.t.Helper()
	f.Times = 1
	w.at(method, path, f)
}

// record is the caller, and what it was told to keep.
type record struct {
	w       *world
	desired provider.Desired
	secrets []string // all that it ever held
	fence   error
	keep    error
	proof   error
	// onKeep, if set, sees each Issued before it is kept.
	onKeep func(provider.Issued)
	// proves, if set, answers for the introspection endpoint.
	proves func(provider.Credential) bool
}

// Fence implements provider.Caller.
func (r *record) Fence(context.Context) error { return r.fence }

// Keep implements provider.Caller.
func (r *record) Keep(_ context.Context, issued provider.Issued) error {
	if r.keep != nil {
		return r.keep
	}
	if r.onKeep != nil {
		r.onKeep(issued)
	}
	if issued.ClientID != "" {
		r.desired.ClientID = issued.ClientID
	}
	if issued.Secret != "" {
		r.desired.Credentials.Current.Secret = issued.Secret
		r.secrets = append(r.secrets, issued.Secret.Reveal())
	}
	if issued.State != "" {
		r.desired.State = issued.State
	}
	return nil
}

// Prove implements provider.Caller, by introspection.
func (r *record) Prove(ctx context.Context, c provider.Credential) (bool, error) {
	if r.proof != nil {
		return false, r.proof
	}
	if r.proves != nil {
		return r.proves(c), nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.w.URL()+"/introspect", strings.NewReader("token=none"))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(r.desired.ClientID), url.QueryEscape(c.Secret.Reveal()))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusUnauthorized:
		return false, nil
	default:
		return false, fmt.Errorf("the introspection endpoint answered %d", resp.StatusCode)
	}
}
