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
	Issuer                string
	TokenEndpoint         string
	IntrospectionEndpoint string
	RevocationEndpoint    string
	JWKSURI               string
	// RegistrationEndpoint is that of RFC 7591, empty where there is none.
	RegistrationEndpoint string
	// IntrospectionAuthMethods and TokenAuthMethods are the ways to authenticate there, by their
	// names in RFC 8414; empty where the server does not say.
	IntrospectionAuthMethods []string
	TokenAuthMethods         []string
}

// maxMetadata bounds the document; Keycloak's has 7 KiB.
const maxMetadata = 1 << 20

const opDiscover = "fetch the server's metadata"

// Discover fetches the metadata that url serves for issuer: OpenID Connect's, or where there is none RFC 8414's. Endpoints
// that lie under the issuer are rebased on url. Errors are *Error: KindUnreachable (TLS too), KindNotFound for 404,
// KindInvalid for what is no metadata, KindRateLimited, KindServer.
func Discover(ctx context.Context, client *http.Client, issuer, url string) (Metadata, error) {
	base := strings.TrimSuffix(url, "/")
	var body []byte
	var err error
	for _, address := range wellKnown(base) {
		if body, err = fetchMetadata(ctx, client, address); err == nil {
			break
		}
		if kind, _ := KindOf(err); kind != KindNotFound {
			break
		}
	}
	if err != nil {
		return Metadata{}, err
	}
	doc, err := parseMetadata(body)
	if err != nil {
		return Metadata{}, &Error{Kind: KindInvalid, Op: opDiscover, Err: err}
	}
	m := doc.rebased(strings.TrimSuffix(issuer, "/"), base)
	if m.Issuer != issuer {
		return m, nil // that is what is wrong, and the caller's to say
	}
	return m, m.check(base)
}

// wellKnown are the places where metadata may be: appended (OpenID Connect Discovery 1.0 section 4), between host and path
// (RFC 8414 section 3.1), and appended all the same, as some servers have it.
func wellKnown(base string) []string {
	const openID, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	places := []string{base + openID}
	if u, err := url.Parse(base); err == nil && strings.Trim(u.EscapedPath(), "/") != "" {
		places = append(places, strings.TrimSuffix(base, u.EscapedPath())+oauth+u.EscapedPath())
	}
	return append(places, base+oauth)
}

func fetchMetadata(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, &Error{Kind: KindInvalid, Op: opDiscover, Err: errors.New("that is no URL")}
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, Unreachable(opDiscover, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxMetadata+1)); err != nil {
		return nil, Unreachable(opDiscover, err)
	}
	if err := discoveryStatus(resp); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
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
	RegistrationEndpoint     string   `json:"registration_endpoint"`
	TokenEndpoint            string   `json:"token_endpoint"`
	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	JWKSURI                  string   `json:"jwks_uri"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	TokenAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
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

// Rebase is an address under the issuer as it is under base, where the issuer is called. Another address stays as it is.
// Neither issuer nor base ends in a slash.
func Rebase(address, issuer, base string) string {
	if rest, ok := strings.CutPrefix(address, issuer+"/"); ok {
		return base + "/" + rest
	}
	return address
}

func (d document) rebased(issuer, base string) Metadata {
	rebase := func(endpoint string) string { return Rebase(endpoint, issuer, base) }
	return Metadata{
		Issuer:                   d.Issuer,
		RegistrationEndpoint:     rebase(d.RegistrationEndpoint),
		TokenEndpoint:            rebase(d.TokenEndpoint),
		IntrospectionEndpoint:    rebase(d.IntrospectionEndpoint),
		RevocationEndpoint:       rebase(d.RevocationEndpoint),
		JWKSURI:                  rebase(d.JWKSURI),
		IntrospectionAuthMethods: methods(d.IntrospectionAuthMethods),
		TokenAuthMethods:         methods(d.TokenAuthMethods),
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
	for _, endpoint := range []string{m.TokenEndpoint, m.IntrospectionEndpoint, m.RevocationEndpoint, m.JWKSURI, m.RegistrationEndpoint} {
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
