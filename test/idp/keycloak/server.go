// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keycloak is a Keycloak at the level of its protocols: discovery, the
// token, introspection, revocation and logout endpoints, and the part of the
// Admin REST API that a registration needs, in memory. It is written to a
// recording of Keycloak 26.7.3, and held to it by its test. Faults can be
// injected into any call: it is there for what a real server can't be asked
// to do on cue.
package keycloak

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// Masking says who sees ********** in place of a client's secret.
type Masking int

const (
	// MaskNever shows secrets to whoever may view clients, as up to 26.7.
	MaskNever Masking = iota
	// MaskViewers hides them from who may not manage clients, as from 26.8.
	MaskViewers
	// MaskAlways hides them from everybody.
	MaskAlways
)

// Options make a server.
type Options struct {
	// Realm is the name of the first realm; empty means acme.
	Realm string
	// Hostname is the base URL that issuers and endpoints begin with; empty means
	// the Host header of each request, as a Keycloak without a hostname does.
	Hostname string
	// TLS makes Start serve https.
	TLS bool
	// Clients and Users are in the first realm from the start.
	Clients []Client
	Users   []User
	// TokenLife is how long access tokens live; 0 means ten minutes.
	TokenLife time.Duration
	// Rotation is the first realm's policy; nil for none.
	Rotation *Rotation
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// Server is one Keycloak.
type Server struct {
	*fault.Server

	now      func() time.Time
	hostname string
	life     time.Duration
	mux      *http.ServeMux
	key      *ecdsa.PrivateKey

	cluster *http.Client // asks the issuers of clusters

	mu      sync.Mutex
	main    *realm
	realms  map[string]*realm
	tokens  map[string]*issued
	masking Masking
}

// New makes a server. It does not listen yet; it is an http.Handler all the same.
func New(o Options) *Server {
	s := &Server{
		now: o.Now, hostname: o.Hostname, life: o.TokenLife, key: newKey(),
		mux: http.NewServeMux(), realms: map[string]*realm{}, tokens: map[string]*issued{},
	}
	if s.now == nil {
		s.now = clock.RealClock{}.Now
	}
	if s.life == 0 {
		s.life = 10 * time.Minute
	}
	name := o.Realm
	if name == "" {
		name = "acme"
	}
	s.Server = fault.Serve(s.mux, o.TLS)
	s.routes()
	s.AddRealm(name)
	s.main = s.realms[name]
	s.main.rotation = o.Rotation
	for _, c := range o.Clients {
		s.AddClient(c)
	}
	for _, u := range o.Users {
		s.AddUser(u)
	}
	return s
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // no randomness: nothing to test with
	}
	return key
}

// Issuer is the first realm's issuer, for callers that use URL.
func (s *Server) Issuer() string {
	_, host, _ := strings.Cut(s.URL(), "://")
	return s.base(host) + "/realms/" + s.main.name
}

// base is what URLs begin with, for a request of this host.
func (s *Server) base(host string) string {
	if s.hostname != "" {
		return s.hostname
	}
	return s.BaseFor(host)
}

// Mask changes who sees secrets.
func (s *Server) Mask(m Masking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.masking = m
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // maps and structs of ours
}

// answerAdmin is how the Admin API answers with something.
func answerAdmin(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // maps and structs of ours
}

func refuse(w http.ResponseWriter, status int, code string, description ...string) {
	body := map[string]string{"error": code}
	if len(description) > 0 {
		body["error_description"] = description[0]
	}
	answerJSON(w, status, body)
}

// refuseStatus is how the server answers what its framework refuses.
func refuseStatus(w http.ResponseWriter, status int) {
	refuse(w, status, fmt.Sprintf("HTTP %d %s", status, http.StatusText(status)))
}
