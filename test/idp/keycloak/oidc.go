// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

const keyID = "k1"

func (s *Server) issuer(r *http.Request) string {
	return s.base(r.Host) + "/realms/" + r.PathValue("realm")
}

func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	issuer := s.issuer(r)
	endpoints := issuer + "/protocol/openid-connect"
	methods := []string{"private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth", "client_secret_jwt"}
	answerJSON(w, http.StatusOK, map[string]any{
		"issuer": issuer, "authorization_endpoint": endpoints + "/auth", "token_endpoint": endpoints + "/token",
		"introspection_endpoint": endpoints + "/token/introspect", "revocation_endpoint": endpoints + "/revoke",
		"end_session_endpoint": endpoints + "/logout", "jwks_uri": endpoints + "/certs",
		"grant_types_supported":                         []string{"client_credentials", "password", "refresh_token"},
		"introspection_endpoint_auth_methods_supported": methods, "token_endpoint_auth_methods_supported": methods,
	})
}

func (s *Server) certs(w http.ResponseWriter, _ *http.Request) {
	public, err := s.key.PublicKey.Bytes()
	if err != nil {
		refuseStatus(w, http.StatusInternalServerError)
		return
	}
	half := (len(public) - 1) / 2
	answerJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kid": keyID, "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256",
		"x": base64.RawURLEncoding.EncodeToString(public[1 : 1+half]), "y": base64.RawURLEncoding.EncodeToString(public[1+half:]),
	}}})
}

// caller is who authenticated at an endpoint, or tried to.
type caller struct {
	client *client
	public bool
	// refusal is why not; why are the words of one about an assertion.
	refusal refusal
	why     string
}

type refusal int

const (
	accepted refusal = iota
	unknownClient
	wrongSecret
	unreadable // a Basic header that is not form-encoded
)

// authenticate reads an assertion, or Basic credentials, form-encoded, and those
// in the body, which go before.
func (s *Server) authenticate(r *http.Request) caller {
	realm := s.realms[r.PathValue("realm")]
	if assertion := r.PostForm.Get("client_assertion"); assertion != "" && r.PostForm.Get("client_assertion_type") == assertionType {
		return s.asserted(realm, s.issuer(r), s.base(r.Host)+r.URL.Path, assertion)
	}
	id, secret, given := "", "", false
	if basicID, basicSecret, ok := r.BasicAuth(); ok {
		var errID, errSecret error
		id, errID = url.QueryUnescape(basicID)
		secret, errSecret = url.QueryUnescape(basicSecret)
		if errID != nil || errSecret != nil {
			return caller{refusal: unreadable}
		}
		given = true
	}
	if bodyID := r.PostForm.Get("client_id"); bodyID != "" && (r.PostForm.Has("client_secret") || !given) {
		id, secret, given = bodyID, r.PostForm.Get("client_secret"), r.PostForm.Has("client_secret")
	}
	found := realm.byClientID(id)
	switch {
	case found == nil || !found.on("enabled"):
		return caller{refusal: unknownClient}
	case found.on("publicClient"):
		return caller{client: found, public: true}
	case found.text("clientAuthenticatorType") == byKey:
		return caller{client: found, why: "Parameter client_assertion_type is missing"}
	case found.text("clientAuthenticatorType") == byFederation:
		return caller{refusal: unknownClient}
	case !given || !s.secretAccepted(found, secret):
		return caller{client: found, refusal: wrongSecret}
	}
	return caller{client: found}
}

const badCredentials = "Invalid client or Invalid client credentials"

// refuseCaller answers at the token, revocation and logout endpoints.
func refuseCaller(w http.ResponseWriter, c caller) bool {
	if c.why != "" {
		refuse(w, http.StatusBadRequest, "invalid_client", c.why)
		return true
	}
	switch c.refusal {
	case accepted:
		return false
	case unknownClient:
		refuse(w, http.StatusUnauthorized, "invalid_client", badCredentials)
	case wrongSecret:
		refuse(w, http.StatusUnauthorized, "unauthorized_client", badCredentials)
	case unreadable:
		refuse(w, http.StatusBadRequest, "unauthorized_client", "Unexpected error when authenticating client")
	}
	return true
}

// refuseAsker answers at the introspection endpoint, which uses other words.
func refuseAsker(w http.ResponseWriter, c caller) bool {
	switch {
	case c.refusal == wrongSecret:
		refuse(w, http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
	case c.public:
		refuse(w, http.StatusForbidden, "invalid_request", "Client not allowed.")
	default:
		return refuseCaller(w, c)
	}
	return true
}

func isForm(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// form parses the body, as far as it is one.
func form(r *http.Request) {
	if !isForm(r) {
		r.PostForm = url.Values{}
		return
	}
	_ = r.ParseForm() // what is no form is an empty one
}
