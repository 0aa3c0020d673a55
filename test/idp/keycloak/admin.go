// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// right is what a call of the Admin API needs.
type right int

const (
	view right = iota
	manage
)

// adminCall is a call of the Admin API that may go on. The server's lock is held.
type adminCall struct {
	*Server

	w     http.ResponseWriter
	r     *http.Request
	realm *realm
	roles []string
}

func (s *Server) routes() {
	admin := func(pattern string, need right, f func(adminCall)) {
		method, path, _ := strings.Cut(pattern, " ")
		s.mux.HandleFunc(method+" /admin/realms/{realm}"+path, func(w http.ResponseWriter, r *http.Request) { s.admit(w, r, need, f) })
	}
	admin("GET /clients", view, adminCall.listClients)
	admin("POST /clients", manage, adminCall.createClient)
	admin("GET /clients/{id}", view, adminCall.readClient)
	admin("PUT /clients/{id}", manage, adminCall.updateClient)
	admin("DELETE /clients/{id}", manage, adminCall.deleteClient)
	admin("GET /clients/{id}/roles", view, adminCall.listRoles)
	admin("GET /clients/{id}/client-secret", view, adminCall.readSecret)
	admin("POST /clients/{id}/client-secret", manage, adminCall.regenerateSecret)
	admin("GET /clients/{id}/client-secret/rotated", view, adminCall.readRotated)
	admin("DELETE /clients/{id}/client-secret/rotated", manage, adminCall.deleteRotated)
	admin("POST /identity-provider/instances", manage, adminCall.createIdentityProvider)
	for _, list := range []string{"default-client-scopes", "optional-client-scopes"} {
		admin("GET /clients/{id}/"+list, view, func(c adminCall) { c.listAttached(list) })
		admin("PUT /clients/{id}/"+list+"/{scope}", manage, func(c adminCall) { c.attach(list) })
		admin("DELETE /clients/{id}/"+list+"/{scope}", manage, adminCall.detach)
	}
	admin("GET /client-scopes", view, adminCall.listScopes)
	admin("POST /client-scopes", manage, adminCall.createScope)
	admin("GET /client-scopes/{id}", view, adminCall.readScope)
	admin("PUT /client-scopes/{id}", manage, adminCall.updateScope)
	admin("DELETE /client-scopes/{id}", manage, adminCall.deleteScope)
	admin("POST /client-scopes/{id}/protocol-mappers/models", manage, adminCall.createMapper)
	admin("PUT /client-scopes/{id}/protocol-mappers/models/{mapper}", manage, adminCall.updateMapper)
	admin("DELETE /client-scopes/{id}/protocol-mappers/models/{mapper}", manage, adminCall.deleteMapper)

	realm := func(path string, f http.HandlerFunc) {
		s.mux.HandleFunc("/realms/{realm}"+path, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.realms[r.PathValue("realm")] == nil {
				refuse(w, http.StatusNotFound, "Realm does not exist")
				return
			}
			f(w, r)
		})
	}
	realm("/.well-known/openid-configuration", s.discovery)
	realm("/protocol/openid-connect/certs", s.certs)
	realm("/protocol/openid-connect/token", s.postOnly(s.token))
	realm("/protocol/openid-connect/token/introspect", s.postOnly(s.introspect))
	realm("/protocol/openid-connect/revoke", s.postOnly(s.revoke))
	realm("/protocol/openid-connect/logout", s.postOnly(s.logout))
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "Unable to find matching target resource method")
	})
}

func (s *Server) postOnly(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			refuseStatus(w, http.StatusMethodNotAllowed)
			return
		}
		f(w, r)
	}
}

// admit checks the access token and its holder's rights, as they are now.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, need right, f func(adminCall)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token := s.tokens[bearer]
	if !ok || token == nil || !s.now().Before(token.expires) || token.kind != kindAccess {
		refuseStatus(w, http.StatusUnauthorized)
		return
	}
	realm := s.realms[r.PathValue("realm")]
	if realm == nil {
		refuse(w, http.StatusNotFound, "Realm not found.")
		return
	}
	caller := token.realm.byClientID(token.client)
	if caller == nil {
		refuseStatus(w, http.StatusUnauthorized)
		return
	}
	c := adminCall{Server: s, w: w, r: r, realm: realm, roles: caller.roles}
	views := c.manages() || slices.Contains(c.roles, "view-clients")
	if token.realm != realm || !views || (need == manage && !c.manages()) {
		refuseStatus(w, http.StatusForbidden)
		return
	}
	f(c)
}

func (c adminCall) manages() bool {
	return slices.Contains(c.roles, "manage-clients") || slices.Contains(c.roles, "realm-admin")
}

// masked reports whether this caller sees no secrets.
func (c adminCall) masked() bool {
	return c.masking == MaskAlways || (c.masking == MaskViewers && !c.manages())
}

// client is the one in the path. What is false was answered.
func (c adminCall) client() (*client, bool) {
	found := c.realm.clients[c.r.PathValue("id")]
	if found == nil {
		refuse(c.w, http.StatusNotFound, "Could not find client")
	}
	return found, found != nil
}

// scope is the one in the path.
func (c adminCall) scope() (*scope, bool) {
	found := c.realm.scopeByID(c.r.PathValue("id"))
	if found == nil {
		refuse(c.w, http.StatusNotFound, "Could not find client scope")
	}
	return found, found != nil
}

// body is a representation. Members that it has not are refused, as the server does.
func (c adminCall) body(name string, members []string) (map[string]any, bool) {
	var rep map[string]any
	if err := json.NewDecoder(c.r.Body).Decode(&rep); err != nil {
		refuse(c.w, http.StatusBadRequest, "invalid_request", "Cannot parse the JSON")
		return nil, false
	}
	for member, value := range rep {
		if !slices.Contains(members, member) {
			refuse(c.w, http.StatusBadRequest, "Invalid json representation for "+name+`. Unrecognized field "`+member+`" at line 1 column 1.`)
			return nil, false
		}
		if value == nil {
			delete(rep, member)
		}
	}
	return rep, true
}

func (c adminCall) created(id string) {
	c.w.Header().Set("Location", c.base(c.r.Host)+strings.TrimSuffix(c.r.URL.Path, "/")+"/"+id)
	c.w.WriteHeader(http.StatusCreated)
}

func (c adminCall) done() { c.w.WriteHeader(http.StatusNoContent) }

// exists is the 409 of a name, or an id, that is taken: the words are the same.
func (c adminCall) exists(what, name string) {
	answerJSON(c.w, http.StatusConflict, map[string]string{"errorMessage": what + " " + name + " already exists"})
}

// broken is how the server answers what its database does not take.
func (c adminCall) broken() {
	refuse(c.w, http.StatusInternalServerError, "unknown_error", "For more on this error consult the server log.")
}
