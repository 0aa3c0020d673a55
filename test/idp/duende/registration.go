// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// What IntrospectionRegistration.cs says. A test keeps them in step with it.
const (
	// RegistrationPath is where the endpoints stand.
	RegistrationPath = "/connect/introspection-resources"
	// RegistrationScope is what a caller's token must have.
	RegistrationScope = "introspection.register"
	// OwnerKey and AdoptedKey are a resource's properties.
	OwnerKey   = "introspection.dev/owner"
	AdoptedKey = "introspection.dev/adopted"
	// SecretPrefix begins the description of a secret that was registered.
	SecretPrefix = "introspection.dev/" //nolint:gosec // a mark, and no credential
)

const (
	errNotFound        = "not_found"
	errInvalidRequest  = "invalid_request"
	errInvalidMetadata = "invalid_resource_metadata"
	errInvalidScope    = "invalid_scope"
	errScopeNotAllowed = "scope_not_allowed"
	errNotOwned        = "not_owned"
	errOwnedByOther    = "owned_by_other"
	errConflict        = "conflict" // of two at once, which does not happen here
)

// admitted answers callers that may not register.
func (s *Server) admitted(w http.ResponseWriter, r *http.Request) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	t := s.tokens[token]
	switch {
	case t == nil || t.refresh || !t.lives(s.o.Now(), s.issuer(r)):
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
		return false
	case !slices.Contains(t.scopes, RegistrationScope):
		w.WriteHeader(http.StatusForbidden)
		return false
	}
	return true
}

// registrations lists the owned ones, by name.
func (s *Server) registrations(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if !s.admitted(w, r) {
		return
	}
	query := r.URL.Query()
	offset, err := number(query, "offset", 0)
	limit, limitErr := number(query, "limit", 100)
	if err != nil || limitErr != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var owned []*Resource
	for _, row := range s.rows {
		if owner, ok := row.Properties[OwnerKey]; ok && strings.HasPrefix(owner, query.Get("owner_prefix")) {
			owned = append(owned, row)
		}
	}
	slices.SortFunc(owned, func(a, b *Resource) int { return cmp.Compare(a.Name, b.Name) })
	owned = owned[min(max(offset, 0), len(owned)):]
	views := []view{}
	for _, row := range owned[:min(min(max(limit, 1), 500), len(owned))] {
		views = append(views, s.view(row))
	}
	give(w, http.StatusOK, map[string]any{"resources": views})
}

func number(query url.Values, name string, otherwise int) (int, error) {
	if !query.Has(name) {
		return otherwise, nil
	}
	return strconv.Atoi(query.Get(name))
}

// registration reads, writes or deletes one.
func (s *Server) registration(w http.ResponseWriter, r *http.Request, segment string) {
	name, err := url.PathUnescape(segment)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	name = strings.NewReplacer("%2F", "/", "%2f", "/").Replace(name)
	switch r.Method {
	case http.MethodGet, http.MethodPut, http.MethodDelete:
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if !s.admitted(w, r) {
		return
	}
	switch r.Method {
	case http.MethodGet:
		if found := s.find(name); found != nil {
			give(w, http.StatusOK, s.view(found))
			return
		}
		complain(w, http.StatusNotFound, errNotFound, "no such ApiResource")
	case http.MethodPut:
		s.put(w, r, name)
	default:
		s.remove(w, name, r.URL.Query().Get("owner"))
	}
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, name string) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var in *resource
	if err != nil || kind != "application/json" || json.NewDecoder(r.Body).Decode(&in) != nil || in == nil {
		complain(w, http.StatusBadRequest, errInvalidRequest, "the body must be a JSON object")
		return
	}
	if why := in.invalid(name); why != "" {
		complain(w, http.StatusBadRequest, errInvalidMetadata, why)
		return
	}
	if unknown := except(in.Scopes, s.o.Scopes); len(unknown) > 0 {
		complain(w, http.StatusBadRequest, errInvalidScope, "unknown scopes: "+strings.Join(unknown, " "))
		return
	}
	if refused := except(in.Scopes, s.o.AllowedScopes); s.o.AllowedScopes != nil && len(refused) > 0 {
		complain(w, http.StatusForbidden, errScopeNotAllowed, "scopes that may not be registered: "+strings.Join(refused, " "))
		return
	}
	found := s.find(name)
	changed, status := (&Resource{Name: name}).clone(), http.StatusCreated
	if found != nil {
		changed, status = found.clone(), http.StatusOK
		switch owner, owned := changed.Properties[OwnerKey]; {
		case !owned && (!s.o.AllowAdoption || !in.Adopt):
			complain(w, http.StatusConflict, errNotOwned, "the ApiResource exists and nobody owns it")
			return
		case owned && owner != in.Owner:
			complain(w, http.StatusConflict, errOwnedByOther, "the ApiResource is owned by "+owner)
			return
		case !owned:
			changed.Properties[AdoptedKey] = "true"
		}
	}
	if why := in.apply(changed); why != "" {
		complain(w, http.StatusBadRequest, errInvalidMetadata, why)
		return
	}
	s.keep(changed)
	give(w, status, s.view(changed))
}

// remove deletes what was made here, and gives back what was adopted.
func (s *Server) remove(w http.ResponseWriter, name, owner string) {
	found := s.find(name)
	switch {
	case owner == "":
		complain(w, http.StatusBadRequest, errInvalidRequest, "owner is required")
		return
	case found == nil:
		complain(w, http.StatusNotFound, errNotFound, "no such ApiResource")
		return
	case found.Properties[OwnerKey] != owner:
		complain(w, http.StatusConflict, errOwnedByOther, "the ApiResource is not owned by "+owner)
		return
	}
	if _, adopted := found.Properties[AdoptedKey]; adopted {
		back := found.clone()
		delete(back.Properties, OwnerKey)
		delete(back.Properties, AdoptedKey)
		back.Secrets = slices.DeleteFunc(back.Secrets, Secret.registered)
		s.keep(back)
	} else {
		s.drop(name)
	}
	w.WriteHeader(http.StatusNoContent)
}

// give is how the registration endpoints answer.
func give(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // structs of ours
}

func complain(w http.ResponseWriter, status int, code, description string) {
	give(w, status, map[string]string{"error": code, "error_description": description})
}
