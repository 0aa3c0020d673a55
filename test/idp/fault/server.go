// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
)

// Server is a Handler that can listen by itself, on a free port of 127.0.0.1. What stands for an authorization server
// embeds it.
type Server struct {
	*Handler

	tls  bool
	http *httptest.Server
}

// Serve makes a Server of a server's routes; it does not listen yet. tls makes Start serve https.
func Serve(routes http.Handler, tls bool) *Server {
	return &Server{Handler: Wrap(routes), tls: tls}
}

// Start listens, and returns the base URL.
func (s *Server) Start() string {
	s.http = httptest.NewUnstartedServer(s.Handler)
	s.http.Config.ErrorLog = nil
	if s.tls {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	return s.http.URL
}

// Close ends what Start began, and breaks off what is on its way.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// URL is the base URL, once it has started.
func (s *Server) URL() string { return s.http.URL }

// BaseFor is what URLs begin with, for requests to a host.
func (s *Server) BaseFor(host string) string {
	if s.tls {
		return "https://" + host
	}
	return "http://" + host
}

// CAPEM is what to trust, if it serves https.
func (s *Server) CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
}
