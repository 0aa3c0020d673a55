// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// maxAnswer bounds what the suite reads of an answer.
const maxAnswer = 4 << 20

// introspection is what a server said of a token.
type introspection struct {
	accepted, active bool
	audience         []string
}

const bearerAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" //nolint:gosec // a name of RFC 7523

// introspect asks about a token with a client's credential. An error means that nobody could tell.
func (h *Harness) introspect(ctx context.Context, t *testing.T, clientID string, c provider.Credential, token string) (introspection, error) {
	t.Helper()
	form := url.Values{"token": {token}}
	var basic [2]string
	switch c.Method {
	case provider.ClientSecret:
		basic = [2]string{clientID, c.Secret.Reveal()}
	case provider.PrivateKeyJWT:
		assertion, err := h.assertion(clientID, c.ID)
		if err != nil {
			return introspection{}, err
		}
		form.Set("client_id", clientID)
		form.Set("client_assertion_type", bearerAssertion)
		form.Set("client_assertion", assertion)
	case provider.ServiceAccountJWT:
		if h.ServiceAccount == nil {
			return introspection{}, errors.New("there is no ServiceAccount to prove it with")
		}
		form.Set("client_assertion_type", bearerAssertion)
		form.Set("client_assertion", h.ServiceAccount.Token(t, h.Config.Issuer).Reveal())
	}
	status, body, err := h.post(ctx, h.Config.Metadata.IntrospectionEndpoint, basic, form)
	if err != nil {
		return introspection{}, err
	}
	return verdict(status, body)
}

// verdict reads an answer of RFC 7662: 401, and 400 with invalid_client, is the credential's refusal.
func verdict(status int, body []byte) (introspection, error) {
	var got struct {
		Active   *bool           `json:"active"`
		Audience json.RawMessage `json:"aud"`
		Error    string          `json:"error"`
	}
	err := json.Unmarshal(body, &got)
	switch {
	case status == http.StatusUnauthorized, status == http.StatusBadRequest && got.Error == "invalid_client":
		return introspection{}, nil
	case status != http.StatusOK || err != nil || got.Active == nil:
		return introspection{}, fmt.Errorf("the introspection endpoint answered %d %s", status, provider.Clean(got.Error))
	}
	return introspection{accepted: true, active: *got.Active, audience: audiences(got.Audience)}, nil
}

// audiences reads `aud`, which is a string or a list of them (RFC 7519 section 4.1.3).
func audiences(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var many []string
	if json.Unmarshal(raw, &many) != nil {
		return nil
	}
	return many
}

// token gets an access token by the client credentials grant.
func (h *Harness) token(t *testing.T, by TokenClient, scope, resource string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	if scope != "" {
		form.Set("scope", scope)
	}
	if resource != "" {
		form.Set("resource", resource)
	}
	status, body, err := h.post(t.Context(), h.Config.Metadata.TokenEndpoint, [2]string{by.ID, by.Secret.Reveal()}, form)
	if err != nil {
		t.Fatalf("getting a token: %v", err)
	}
	var got struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	if err := json.Unmarshal(body, &got); err != nil || got.AccessToken == "" {
		t.Fatalf("no token for %s, scope %q, resource %q: %d %s", by.ID, scope, resource, status, provider.Clean(got.Error))
	}
	return got.AccessToken
}

// names says whether a token names an audience, by its own words if it is a JWT, else by introspection.
func (i introspection) names(token, audience string) bool {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		var claims struct {
			Audience json.RawMessage `json:"aud"`
		}
		raw, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err == nil && json.Unmarshal(raw, &claims) == nil {
			return slices.Contains(audiences(claims.Audience), audience)
		}
	}
	return slices.Contains(i.audience, audience)
}

// post sends a form with HTTP Basic, form-encoded (RFC 6749 section 2.3.1), if there is an id.
func (h *Harness) post(ctx context.Context, endpoint string, basic [2]string, form url.Values) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if basic[0] != "" {
		req.SetBasicAuth(url.QueryEscape(basic[0]), url.QueryEscape(basic[1]))
	}
	resp, err := h.Config.HTTPClient.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("asking the server: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return 0, nil, fmt.Errorf("reading the server's answer: %w", err)
	}
	return resp.StatusCode, body.Bytes(), nil
}
