// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth is a small authorization server in memory, up in milliseconds: metadata (RFC 8414), registration
// (RFC 7591) and its management (RFC 7592), introspection (RFC 7662), revocation (RFC 7009), client credentials,
// refresh tokens, opaque and JWT access tokens.
//
// It is test code, for tests and for the demo: whoever names a user gets that user's token, without a password, a
// login page or consent. Never put it where anybody else can reach it. Faults can be injected into any call.
package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// Options make a server. The zero value is one that anybody may register at, on a free port, over plain HTTP.
type Options struct {
	// Address to listen on; empty means a free port of 127.0.0.1.
	Address string
	// CertFile and KeyFile (PEM) make it https.
	CertFile, KeyFile string
	// Issuer, if set, is what it calls itself; otherwise the scheme and the address it listens on.
	Issuer string
	// Clients that are there from the start, and Users.
	Clients []Client
	Users   []User
	// Scopes that there are; empty means any.
	Scopes []string
	// InitialAccessToken that registers (RFC 7591 section 3.1). Without one, and without a client that Registers,
	// registration is open.
	InitialAccessToken string
	// NoManagement turns RFC 7592 off: no client can be read, changed or deleted.
	NoManagement bool
	// ReadOnly lets clients be read, and neither be changed nor deleted: it answers 404 in plain text.
	ReadOnly bool
	// HideSecret keeps the secret out of answers to reads.
	HideSecret bool
	// Untold names metadata that answers to registrations and updates leave out, and reads show.
	Untold []string
	// Fixed names metadata that an update leaves as it is, without a word.
	Fixed []string
	// TakesAnything registers whoever sends a JSON object, whatever is in it.
	TakesAnything bool
	// NewRegistrationToken makes each PUT end the registration access token and answer with another one.
	NewRegistrationToken bool
	// NewSecret makes each PUT end the client's secret and answer with another one; KeepOldSecret lets the old one work on.
	NewSecret, KeepOldSecret bool
	// NeedGrant refuses a client without any grant type.
	NeedGrant bool
	// Forget names metadata that a registration drops without a word, as servers do with what they don't know.
	Forget []string
	// OnlyAudience makes introspection answer inactive to a client that the token does not name in aud.
	OnlyAudience bool
	// TokenLife is how long access tokens live; 0 means ten minutes.
	TokenLife time.Duration
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// Client is one that is there from the start, beside those that register.
type Client struct {
	ID string
	// Secret, for client_secret_basic and client_secret_post.
	Secret string
	// Keys are its public keys, for private_key_jwt.
	Keys jose.JSONWebKeySet
	// Scopes that it may ask for; it gets all of them if it asks for none.
	Scopes []string
	// Audience of its tokens, unless it asks for another one by resource (RFC 8707).
	Audience []string
	// JWT makes its access tokens JWTs (RFC 9068); otherwise they are opaque.
	JWT bool
	// Registers says that its tokens may register clients.
	Registers bool
}

// User is somebody whose tokens can be had by UserGrant.
type User struct {
	Name string
}

// Server is one authorization server. Faults go in by Inject, and its calls come out by Calls.
type Server struct {
	*fault.Handler

	o      Options
	now    func() time.Time
	signer jose.Signer
	keys   jose.JSONWebKeySet
	http   *http.Server
	url    string
	served chan struct{}

	mu       sync.Mutex
	clients  map[string]*client
	tokens   map[string]*token
	used     map[string]time.Time // jti of assertions, and till when they could come again
	disabled map[string]bool
}

const (
	algorithm     = jose.ES256
	keyID         = "oauth-1"
	defaultLife   = 10 * time.Minute
	headerTimeout = 10 * time.Second
)

// New makes a server that does not listen yet.
func New(o Options) *Server {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // no randomness: nothing to test with
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: keyID}}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		panic(err) // a key of ours
	}
	s := &Server{
		o: o, now: o.Now, signer: signer, url: o.Issuer,
		keys:    jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: keyID, Algorithm: string(algorithm), Use: "sig"}}},
		clients: map[string]*client{}, tokens: map[string]*token{}, used: map[string]time.Time{}, disabled: map[string]bool{},
	}
	if s.now == nil {
		s.now = time.Now //nolint:forbidigo // a test that needs another clock gives one
	}
	if s.o.TokenLife == 0 {
		s.o.TokenLife = defaultLife
	}
	for _, c := range o.Clients {
		s.clients[c.ID] = staticClient(c)
	}
	s.Handler = fault.Wrap(s.routes())
	return s
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", s.metadata)
	mux.HandleFunc("GET /.well-known/openid-configuration", s.metadata)
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.keys) })
	mux.HandleFunc("POST /register", s.register)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /introspect", s.introspect)
	mux.HandleFunc("POST /revoke", s.revoke)
	if !s.o.NoManagement {
		mux.HandleFunc("GET /register/{id}", s.managed(s.read))
		update, remove := s.managed(s.update), s.managed(s.remove)
		if s.o.ReadOnly {
			update, remove = http.NotFound, http.NotFound
		}
		mux.HandleFunc("PUT /register/{id}", update)
		mux.HandleFunc("DELETE /register/{id}", remove)
	}
	return mux
}

// Start listens.
func (s *Server) Start() error {
	address := s.o.Address
	if address == "" {
		address = "127.0.0.1:0"
	}
	s.http = &http.Server{Handler: s.Handler, ReadHeaderTimeout: headerTimeout}
	scheme := "http"
	if s.o.CertFile != "" || s.o.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(s.o.CertFile, s.o.KeyFile)
		if err != nil {
			return fmt.Errorf("reading the authorization server's certificate: %w", err)
		}
		scheme, s.http.TLSConfig = "https", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return fmt.Errorf("listening as the authorization server: %w", err)
	}
	s.url, s.served = scheme+"://"+listener.Addr().String(), make(chan struct{})
	go func() {
		defer close(s.served)
		if scheme == "https" {
			_ = s.http.ServeTLS(listener, "", "") // ends by Close
			return
		}
		_ = s.http.Serve(listener)
	}()
	return nil
}

// Close ends what Start began, and breaks off what is on its way.
func (s *Server) Close() error {
	if s.http == nil {
		return nil
	}
	err := s.http.Close()
	<-s.served
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// URL is where it is called, once it has started.
func (s *Server) URL() string { return s.url }

// Issuer is what it calls itself, in its metadata and as iss.
func (s *Server) Issuer() string {
	if s.o.Issuer != "" {
		return s.o.Issuer
	}
	return s.url
}

// metadata is RFC 8414 section 2.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	at := s.Issuer()
	methods := []string{basic, post, privateKeyJWT}
	m := map[string]any{
		"issuer": at, "jwks_uri": at + "/jwks", "registration_endpoint": at + "/register",
		"token_endpoint": at + "/token", "introspection_endpoint": at + "/introspect", "revocation_endpoint": at + "/revoke",
		"token_endpoint_auth_methods_supported":                    methods,
		"introspection_endpoint_auth_methods_supported":            methods,
		"revocation_endpoint_auth_methods_supported":               methods,
		"token_endpoint_auth_signing_alg_values_supported":         []string{"ES256", "RS256", "PS256"},
		"introspection_endpoint_auth_signing_alg_values_supported": []string{"ES256", "RS256", "PS256"},
		"grant_types_supported":                                    []string{grantClient, grantRefresh, UserGrant},
		"response_types_supported":                                 []string{},
	}
	if len(s.o.Scopes) > 0 {
		m["scopes_supported"] = s.o.Scopes
	}
	answer(w, http.StatusOK, m)
}

// answer is JSON that nobody keeps.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // maps of ours, and what came as JSON
}

// refuse is an error as RFC 6749 section 5.2 and RFC 7591 section 3.2.2 have it.
func refuse(w http.ResponseWriter, status int, code, description string) {
	answer(w, status, map[string]string{"error": code, "error_description": description})
}
