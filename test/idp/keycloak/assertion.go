// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	byKey         = "client-jwt"
	byFederation  = "federated-jwt"
)

// identityProvider is one that stands for a cluster: its issuer signs for ServiceAccounts.
type identityProvider struct{ alias, issuer string }

func (c adminCall) createIdentityProvider() {
	var rep struct {
		Alias      string            `json:"alias"`
		ProviderID string            `json:"providerId"`
		Config     map[string]string `json:"config"`
	}
	if err := json.NewDecoder(c.r.Body).Decode(&rep); err != nil || rep.ProviderID != "kubernetes" {
		refuse(c.w, http.StatusBadRequest, "invalid_request", "Cannot parse the JSON")
		return
	}
	if !slices.Contains(c.roles, "realm-admin") {
		refuseStatus(c.w, http.StatusForbidden)
		return
	}
	c.realm.providers = append(c.realm.providers, identityProvider{alias: rep.Alias, issuer: rep.Config["issuer"]})
	c.created(rep.Alias)
}

// asserted is who a client assertion (RFC 7523 section 2.2) makes the caller, or why it makes nobody.
func (s *Server) asserted(realm *realm, issuer, address, assertion string) caller {
	token, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	var claims jwt.Claims
	if err == nil {
		err = token.UnsafeClaimsWithoutVerification(&claims)
	}
	if err != nil {
		return caller{refusal: unknownClient}
	}
	for _, p := range realm.providers {
		if p.issuer == claims.Issuer {
			return s.federated(realm, p, token, claims, issuer)
		}
	}
	found := realm.byClientID(claims.Subject)
	if found == nil || !found.on("enabled") || claims.Issuer != claims.Subject || found.text("clientAuthenticatorType") != byKey {
		return caller{refusal: unknownClient}
	}
	endpoints := issuer + "/protocol/openid-connect"
	why := s.wrong(claims, []string{issuer, endpoints + "/token", endpoints + "/token/introspect", address})
	switch {
	case why != "":
	case found.attribute("use.jwks.string") != "true":
		why = "Unable to load public key"
	default:
		why = s.provenBy(json.RawMessage(found.attribute("jwks.string")), found.attribute("token.endpoint.auth.signing.alg"), token)
	}
	if used := found.clientID() + " " + claims.ID; why == "" && claims.ID == "" {
		why = "Missing ID on the token"
	} else if why == "" && realm.assertions[used] {
		why = "Token reuse detected"
	} else if why == "" {
		realm.assertions[used] = true
	}
	return caller{client: found, why: why}
}

// federated takes the token of a ServiceAccount, again and again.
func (s *Server) federated(realm *realm, p identityProvider, token *jwt.JSONWebToken, claims jwt.Claims, issuer string) caller {
	for _, c := range realm.sorted() {
		if c.text("clientAuthenticatorType") != byFederation || !c.on("enabled") ||
			c.attribute("jwt.credential.issuer") != p.alias || c.attribute("jwt.credential.sub") != claims.Subject {
			continue
		}
		why := s.wrong(claims, []string{issuer})
		if why == "" {
			keys, err := s.keysOf(p.issuer)
			if err != nil {
				return caller{client: c, why: "Unable to load public key"}
			}
			why = s.provenBy(keys, "", token)
		}
		return caller{client: c, why: why}
	}
	return caller{refusal: unknownClient}
}

// wrong is why the claims are not those of a good assertion, empty if they are.
func (s *Server) wrong(claims jwt.Claims, audiences []string) string {
	switch {
	case len(claims.Audience) > 1:
		return "Multiple audiences not allowed"
	case len(claims.Audience) == 0 || !slices.Contains(audiences, claims.Audience[0]):
		return "Invalid token audience"
	case claims.Expiry == nil || s.now().After(claims.Expiry.Time()):
		return "Token is not active"
	}
	return ""
}

// provenBy is why the keys (RFC 7517) don't prove the assertion, empty if one does.
func (s *Server) provenBy(set json.RawMessage, algorithm string, token *jwt.JSONWebToken) string {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(set, &keys); err != nil {
		return "Unable to load public key"
	}
	header := token.Headers[0]
	named := keys.Key(header.KeyID)
	switch {
	case len(named) == 0:
		return "Unable to load public key"
	case algorithm != "" && header.Algorithm != algorithm:
		return "Invalid signature algorithm"
	case token.Claims(named[0].Key) != nil:
		return "Client authentication with signed JWT failed: Signature on JWT token failed validation"
	}
	return ""
}

// keysOf fetches what a cluster's issuer publishes.
func (s *Server) keysOf(issuer string) (json.RawMessage, error) {
	client := s.cluster
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second}
	}
	fetch := func(address string, into any) error {
		resp, err := client.Get(address) //nolint:noctx // bounded by the client's timeout
		if err != nil {
			return fmt.Errorf("asking the cluster's issuer: %w", err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return errors.New("the cluster's issuer refuses")
		}
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			return fmt.Errorf("reading what the cluster's issuer says: %w", err)
		}
		return nil
	}
	var document struct {
		JWKSURI string `json:"jwks_uri"`
	}
	if err := fetch(issuer+"/.well-known/openid-configuration", &document); err != nil {
		return nil, err
	}
	var keys json.RawMessage
	return keys, fetch(document.JWKSURI, &keys)
}
