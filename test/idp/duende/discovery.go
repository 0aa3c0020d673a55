// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import "net/http"

// discovery answers the metadata (OpenID Connect Discovery 1.0). Only the issuer can be fixed.
func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	at := func(path string) string { return s.base(r) + path }
	methods := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	algorithms := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
	body := map[string]any{
		"issuer":                                s.issuer(r),
		"jwks_uri":                              at(pathJWKS),
		"authorization_endpoint":                at("/connect/authorize"),
		"token_endpoint":                        at(pathToken),
		"userinfo_endpoint":                     at("/connect/userinfo"),
		"end_session_endpoint":                  at("/connect/endsession"),
		"check_session_iframe":                  at("/connect/checksession"),
		"revocation_endpoint":                   at(pathRevocation),
		"introspection_endpoint":                at(pathIntrospection),
		"device_authorization_endpoint":         at("/connect/deviceauthorization"),
		"backchannel_authentication_endpoint":   at("/connect/ciba"),
		"pushed_authorization_request_endpoint": at("/connect/par"),
		"require_pushed_authorization_requests": false,
		"scopes_supported":                      append(append([]string{}, s.o.Scopes...), scopeOffline),
		"claims_supported":                      []string{},
		"subject_types_supported":               []string{"public"},
		"code_challenge_methods_supported":      []string{"plain", "S256"},
		"grant_types_supported": []string{
			"authorization_code", grantClient, "refresh_token", "implicit", grantPassword,
			"urn:ietf:params:oauth:grant-type:device_code", "urn:openid:params:grant-type:ciba",
		},
		"response_types_supported": []string{
			"code", "token", "id_token", "id_token token", "code id_token", "code token", "code id_token token",
		},
		"response_modes_supported": []string{"form_post", "query", "fragment"},
		"prompt_values_supported":  []string{"none", "login", "consent", "select_account"},

		"authorization_response_iss_parameter_supported": true,
		"request_parameter_supported":                    true,
		"backchannel_user_code_parameter_supported":      true,
		"backchannel_token_delivery_modes_supported":     []string{"poll"},
		"id_token_signing_alg_values_supported":          []string{"RS256"},
		"userinfo_signing_alg_values_supported":          []string{"RS256"},
		"introspection_signing_alg_values_supported":     []string{"RS256"},
		"request_object_signing_alg_values_supported":    algorithms,
		"dpop_signing_alg_values_supported":              algorithms,

		"backchannel_authentication_request_signing_alg_values_supported": algorithms,
	}
	for _, channel := range []string{"frontchannel", "backchannel"} {
		body[channel+"_logout_supported"], body[channel+"_logout_session_supported"] = true, true
	}
	for _, endpoint := range []string{"token", "revocation", "introspection"} {
		body[endpoint+"_endpoint_auth_methods_supported"] = methods
		body[endpoint+"_endpoint_auth_signing_alg_values_supported"] = algorithms
	}
	answer(w, http.StatusOK, body)
}
