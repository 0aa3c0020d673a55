// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package duende is a Duende IdentityServer at the level of its protocols: discovery, the token,
// introspection and revocation endpoints, and the registration endpoints that a host adds to it by
// docs/servers/duende/IntrospectionRegistration.cs, in memory. It is written to a recording of
// IdentityServer 8.0.3, and held to it by its test. Faults can be injected into any call.
package duende

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"k8s.io/utils/clock"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// Options make a server.
type Options struct {
	// Issuer is fixed; empty means that it is made of each request's scheme and host, as a stock host does.
	Issuer string
	// TLS makes Start serve https.
	TLS bool
	// Clients and Users may get tokens.
	Clients []Client
	Users   []User
	// Scopes are those that the server knows.
	Scopes []string
	// Resources are there from the start, without an owner.
	Resources []Resource
	// AllowedScopes are the only ones that may be registered; nil means all.
	AllowedScopes []string
	// AllowAdoption lets a caller that says "adopt" take over a resource that nobody owns.
	AllowAdoption bool
	// PropagationSeconds is the life of the host's configuration cache. Introspection and tokens go by a
	// snapshot that is so old at most; 0 means that there is no cache.
	PropagationSeconds int
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// Server is one Duende host. It is safe for concurrent use.
type Server struct {
	*fault.Server

	o      Options
	key    *rsa.PrivateKey
	keyID  string
	signer jose.SigningKey

	mu       sync.Mutex
	clients  map[string]*client
	rows     []*Resource // never changed in place
	snapshot []*Resource
	until    time.Time
	tokens   map[string]*issued
	replayed map[string]time.Time
}

// New makes a server. It does not listen yet; it is an http.Handler all the same.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = clock.RealClock{}.Now
	}
	s := &Server{
		o:       o,
		clients: map[string]*client{}, tokens: map[string]*issued{}, replayed: map[string]time.Time{},
	}
	s.newKey()
	s.Server = fault.Serve(http.HandlerFunc(s.serve), o.TLS)
	for _, c := range o.Clients {
		s.AddClient(c)
	}
	for _, r := range o.Resources {
		s.AddResource(r)
	}
	return s
}

// newKey has tokens signed by another key from now on.
func (s *Server) newKey() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // no randomness: nothing to test with
	}
	s.key, s.keyID = key, random(16)
	s.signer = jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: s.keyID}}
}

// Issuer is the issuer for callers that use URL.
func (s *Server) Issuer() string {
	if s.o.Issuer != "" {
		return s.o.Issuer
	}
	return s.URL()
}

// base is what endpoints begin with, for this request.
func (s *Server) base(r *http.Request) string { return s.BaseFor(r.Host) }

func (s *Server) issuer(r *http.Request) string {
	if s.o.Issuer != "" {
		return s.o.Issuer
	}
	return s.base(r)
}

const (
	pathDiscovery     = "/.well-known/openid-configuration"
	pathJWKS          = "/.well-known/openid-configuration/jwks"
	pathToken         = "/connect/token"
	pathIntrospection = "/connect/introspect"
	pathRevocation    = "/connect/revocation"
)

// serve answers one call at a time.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.EscapedPath()
	name, named := strings.CutPrefix(path, RegistrationPath+"/")
	switch {
	case path == pathDiscovery:
		s.discovery(w, r)
	case path == pathJWKS:
		answer(w, http.StatusOK, s.keys())
	case path == pathToken:
		s.token(w, r)
	case path == pathIntrospection:
		s.introspect(w, r)
	case path == pathRevocation:
		s.revoke(w, r)
	case path == RegistrationPath, named && name == "":
		s.registrations(w, r)
	case named && !strings.Contains(name, "/"):
		s.registration(w, r, name)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *Server) keys() any {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: s.key.Public(), KeyID: s.keyID, Algorithm: string(jose.RS256), Use: "sig"},
	}}
}

// answer is how the server's own endpoints give JSON.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // maps and structs of ours
}

// private is answer with the headers of what must not be kept.
func private(w http.ResponseWriter, status int, body any) {
	uncached(w)
	answer(w, status, body)
}

func uncached(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store, no-cache, max-age=0")
	w.Header().Set("Pragma", "no-cache")
}

func refuse(w http.ResponseWriter, code string, description ...string) {
	body := map[string]string{"error": code}
	if len(description) > 0 {
		body["error_description"] = description[0]
	}
	private(w, http.StatusBadRequest, body)
}

// random is as many bytes in upper-case hex, as the server's handles are.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return strings.ToUpper(hex.EncodeToString(b))
}
