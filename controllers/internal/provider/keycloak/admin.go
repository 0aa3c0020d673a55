// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	// noRealm is what the Admin API says of a realm that does not exist, and
	// noPath of a path that it does not have, below a wrong address for example.
	// Neither 404 must be taken for the absence of a client.
	noRealm = "Realm not found."
	noPath  = "Unable to find matching target resource method"
)

// needsRole is what to do about a 403.
const needsRole = "Give the client that the operator signs in with the role manage-clients of the realm's client realm-management."

// call is one call of the realm's Admin API. The segments of its path are escaped.
func (s *Server) call(op, method, path string) provider.Call {
	return provider.Call{Op: op, Method: method, URL: s.admin + path, Done: []int{done(method)}}
}

// get is a call that reads, with a query or without.
func (s *Server) get(op, path string, query url.Values) provider.Call {
	c := s.call(op, http.MethodGet, path)
	c.Query = query
	return c
}

// send is a call with a body. Of what the server says, the secrets are masked.
func (s *Server) send(op, method, path string, in any, secrets ...provider.Secret) provider.Call {
	c := s.call(op, method, path)
	c.In, c.Secrets = in, secrets
	return c
}

// done is how the Admin API says that the work is done.
func done(method string) int {
	switch method {
	case http.MethodGet:
		return http.StatusOK
	case http.MethodPost:
		return http.StatusCreated
	default:
		return http.StatusNoContent
	}
}

// absent reports whether the server said that the thing in the path is not
// there. A proxy's 404 says nothing about it, nor does that of a missing realm.
func absent(a *provider.Answer) bool {
	if a == nil || a.Status != http.StatusNotFound {
		return false
	}
	word := a.Word()
	return word != "" && word != noRealm && word != noPath
}

// understand adds what we know of Keycloak to an error.
func understand(a *provider.Answer, e *provider.Error) {
	switch {
	case a.Status == http.StatusForbidden:
		e.Advice = needsRole
	case a.Status == http.StatusNotFound && (!a.IsJSON() || a.Word() == noPath):
		e.Advice = "Is the Admin API at the address that is set for it, or beside the issuer? It is what stands before /admin."
	}
}

// chosenID is the id of what was created, the last segment of Location; empty if that can't be seen.
func chosenID(a *provider.Answer) string {
	if a == nil {
		return ""
	}
	location := a.Header.Get("Location")
	return location[strings.LastIndexByte(location, '/')+1:]
}
