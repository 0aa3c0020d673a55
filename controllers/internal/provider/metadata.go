// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Metadata is what an authorization server says of itself (OpenID Connect
// Discovery 1.0, RFC 8414). Endpoints are where the operator and workloads call
// them; the authorization endpoint is where browsers go, and as the server says.
type Metadata struct {
	// Issuer is as the server spells it. The caller compares it byte for byte with what it expects
	// (RFC 8414 section 3.3).
	Issuer                   string
	AuthorizationEndpoint    string
	TokenEndpoint            string
	IntrospectionEndpoint    string
	RevocationEndpoint       string
	JWKSURI                  string
	IntrospectionAuthMethods []string
}

// maxMetadata bounds the document; Keycloak's has 7 KiB.
const maxMetadata = 1 << 20

const opDiscover = "fetch the server's metadata"

// Discover fetches the metadata that url serves for issuer. Endpoints that lie
// under the issuer are rebased on url. Errors are *Error: KindUnreachable (TLS
// too), KindNotFound for 404, KindInvalid for what is no metadata,
// KindRateLimited, KindServer.
func Discover(ctx context.Context, client *http.Client, issuer, url string) (Metadata, error) {
	base := strings.TrimSuffix(url, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/.well-known/openid-configuration", http.NoBody)
	if err != nil {
		return Metadata{}, &Error{Kind: KindInvalid, Op: opDiscover, Err: errors.New("that is no URL")}
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return Metadata{}, Unreachable(opDiscover, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxMetadata+1)); err != nil {
		return Metadata{}, Unreachable(opDiscover, err)
	}
	if err := discoveryStatus(resp); err != nil {
		return Metadata{}, err
	}
	doc, err := parseMetadata(body.Bytes())
	if err != nil {
		return Metadata{}, &Error{Kind: KindInvalid, Op: opDiscover, Err: err}
	}
	m := doc.rebased(strings.TrimSuffix(issuer, "/"), base)
	if m.Issuer != issuer {
		return m, nil // that is what is wrong, and the caller's to say
	}
	return m, m.check(base)
}

func discoveryStatus(resp *http.Response) *Error {
	e := &Error{Op: opDiscover, Status: resp.StatusCode}
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusNotFound:
		e.Kind = KindNotFound
	case code == http.StatusTooManyRequests:
		e.Kind = KindRateLimited
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		e.Kind = KindServer
	case code >= 300 && code < 400:
		e.Kind, e.Err = KindInvalid, errors.New("a redirect, which is not followed: name the final address in spec.connection.url")
	default:
		e.Kind = KindInvalid
	}
	return e
}

// document is the metadata as it arrives. A member of another type is an error,
// unless we don't read it.
type document struct {
	Issuer                   string   `json:"issuer"`
	AuthorizationEndpoint    string   `json:"authorization_endpoint"`
	TokenEndpoint            string   `json:"token_endpoint"`
	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	JWKSURI                  string   `json:"jwks_uri"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
}

func parseMetadata(body []byte) (document, error) {
	var doc document
	switch {
	case len(body) > maxMetadata:
		return doc, errors.New("more than 1 MiB")
	case strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 64)])), "<"):
		return doc, errors.New("a web page and no JSON")
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return doc, errors.New("no JSON object of metadata")
	}
	if doc.Issuer == "" {
		return doc, errors.New("no issuer in it")
	}
	return doc, nil
}

func (d document) rebased(issuer, base string) Metadata {
	rebase := func(endpoint string) string {
		if rest, ok := strings.CutPrefix(endpoint, issuer+"/"); ok {
			return base + "/" + rest
		}
		return endpoint
	}
	return Metadata{
		Issuer:                   d.Issuer,
		AuthorizationEndpoint:    d.AuthorizationEndpoint,
		TokenEndpoint:            rebase(d.TokenEndpoint),
		IntrospectionEndpoint:    rebase(d.IntrospectionEndpoint),
		RevocationEndpoint:       rebase(d.RevocationEndpoint),
		JWKSURI:                  rebase(d.JWKSURI),
		IntrospectionAuthMethods: methods(d.IntrospectionAuthMethods),
	}
}

const (
	maxMethods  = 16
	maxMethod   = 64
	maxEndpoint = 1024
)

// methods are each once, and what is shown of them in a status is bounded.
func methods(named []string) []string {
	var kept []string
	for _, m := range named {
		if len(kept) < maxMethods && m != "" && len(m) <= maxMethod && !slices.Contains(kept, m) {
			kept = append(kept, m)
		}
	}
	return kept
}

// check refuses endpoints that would carry credentials in the clear where the
// server itself was reached over TLS, as one behind a proxy may name by mistake.
func (m Metadata) check(base string) error {
	for _, endpoint := range []string{m.TokenEndpoint, m.IntrospectionEndpoint, m.RevocationEndpoint, m.JWKSURI} {
		if endpoint == "" {
			continue
		}
		u, err := url.Parse(endpoint)
		if err != nil || len(endpoint) > maxEndpoint || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return &Error{Kind: KindInvalid, Op: opDiscover, Err: fmt.Errorf("the endpoint %q is no URL", Clean(endpoint))}
		}
		if u.Scheme == "http" && strings.HasPrefix(base, "https://") {
			return &Error{Kind: KindInvalid, Op: opDiscover, Err: fmt.Errorf("the endpoint %q is not https: does the server know that it stands behind a TLS proxy?", Clean(endpoint))}
		}
	}
	return nil
}
