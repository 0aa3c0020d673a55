// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// AdmitHTTP judges what does not need the token: whether this gateway may ask, about this
// host, whether the request plays with the headers that we set, and whether it is a CORS
// preflight that passes without a token. Neither: go on. On other surfaces than the
// gateways' it always says so.
func (p *Policy) AdmitHTTP(req *token.Request) (*token.Decision, *token.Undecided) {
	if !req.Surface.OnGateway() {
		return nil, nil //nolint:nilnil // go on
	}
	if p.gateways.names != nil && !slices.Contains(p.gateways.names, req.Gateway) {
		return nil, &token.Undecided{
			Reason:  token.ReasonGatewayNotAllowed,
			Message: "This gateway may not ask this policy: name it in surfaces.gateways.names of TokenPolicy " + req.Policy.String() + ", or leave out names.",
		}
	}
	if req.HTTP == nil {
		return nil, &token.Undecided{Reason: token.ReasonInternal, Message: "The request that the gateway asks about was not read."}
	}
	if p.gateways.hosts != nil && !p.onHost(req.HTTP.Host) {
		return deny(token.ReasonHostNotAllowed, "The host that was called is not one of this API, or the gateway does not tell it."), nil
	}
	if name := odd(req.HTTP.Headers, p.headerNames); name != "" {
		return deny(token.ReasonInvalidRequest, "The request has another spelling of the header "+name+", which the gateway sets, or names it in Connection: do not send it."), nil
	}
	if p.gateways.preflight && isPreflight(req.HTTP) {
		return &token.Decision{Verdict: token.Allow, Headers: p.noHeaders()}, nil
	}
	return nil, nil //nolint:nilnil // go on
}

func odd(headers token.Headers, names []string) string {
	if headers == nil || len(names) == 0 {
		return ""
	}
	return headers.Odd(names)
}

func (p *Policy) onHost(host string) bool {
	host = hostOf(host)
	return host != "" && slices.ContainsFunc(p.gateways.hosts, func(allowed string) bool { return sameName(allowed, host) })
}

// hostOf is an authority without its port. What follows a colon and is no number is no
// port: a:b@c is c, of the user a.
func hostOf(authority string) string {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.Trim(authority[i+1:], "0123456789") != "" {
		return authority
	}
	return authority[:i]
}

// sameName compares without case, in ASCII only: a Kelvin sign is no k.
func sameName(a, b string) bool { return len(a) == len(b) && lower(a) == lower(b) }

// isPreflight is of the Fetch standard's CORS protocol: browsers send no credentials with
// such a request, so that a policy may have to let it pass.
func isPreflight(r *token.HTTPRequest) bool {
	return r.Method == http.MethodOptions && r.Headers != nil &&
		len(r.Headers.Values("Origin")) > 0 && len(r.Headers.Values("Access-Control-Request-Method")) > 0
}

// noHeaders are all of them, empty: there is no token to say anything, and one that we
// don't send stays the client's.
func (p *Policy) noHeaders() []token.Header {
	headers := make([]token.Header, len(p.headerNames))
	for i, name := range p.headerNames {
		headers[i].Name = name
	}
	return headers
}
