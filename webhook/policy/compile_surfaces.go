// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/url"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	maxURL      = 512
	maxAccounts = 32
	maxGateways = 16
	maxHosts    = 32
	maxName     = 253
)

// identify is how the API is known to its clients.
func (p *Policy) identify(r *v1alpha1.Resource, wrong *problems) {
	if r == nil {
		return
	}
	if p.resource = r.Identifier; p.resource != "" {
		if u := wrong.address("spec.resource.identifier", p.resource); u != nil && (u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.ForceQuery) {
			wrong.add("spec.resource.identifier", "is %s: name an http or https URL without user, query or fragment", quoted(p.resource))
		}
	}
	if p.metadataURL = r.MetadataURL; p.metadataURL != "" {
		if u := wrong.address("spec.resource.metadataURL", p.metadataURL); u != nil && u.Scheme != "https" {
			wrong.add("spec.resource.metadataURL", "is %s: name an https URL", quoted(p.metadataURL))
		}
	}
}

// address is a URL that stands in a header; nil if it is none.
func (w *problems) address(path, s string) *url.URL {
	u, err := url.Parse(s)
	switch {
	case len(s) > maxURL:
		w.add(path, "is longer than %d characters", maxURL)
		return nil
	case err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(s, "#") || printable(s) != "":
		w.add(path, "is %s: name a URL of printable ASCII, with a host and without a user or fragment", quoted(s))
		return nil
	}
	return u
}

func (p *Policy) surfaces(s *v1alpha1.Surfaces, wrong *problems) {
	const introspects, gates = "spec.surfaces.introspection", "spec.surfaces.gateways"
	accounts := s.Introspection.ServiceAccounts
	if len(accounts) > maxAccounts {
		wrong.add(introspects+".serviceAccounts", "has %d entries: %d are possible", len(accounts), maxAccounts)
	}
	p.introspection.accounts = make(map[token.Ref]struct{}, len(accounts))
	for i, a := range accounts {
		if a.Namespace == "" || a.Name == "" || len(a.Namespace) > maxName || len(a.Name) > maxName {
			wrong.add(index(introspects+".serviceAccounts", i), "needs namespace and name of a ServiceAccount")
		}
		p.introspection.accounts[token.Ref{Namespace: a.Namespace, Name: a.Name}] = struct{}{}
	}
	p.introspection.clamp = wrong.option(introspects+".exp", string(s.Introspection.Exp), string(v1alpha1.ExpToken), string(v1alpha1.ExpClamp))
	p.introspection.callerVerifies = wrong.option(introspects+".boundTokens", string(s.Introspection.BoundTokens), string(v1alpha1.BoundTokensRefuse), string(v1alpha1.BoundTokensCallerVerifies))

	if s.Gateways.Names != nil {
		p.gateways.names = wrong.values(gates+".names", s.Gateways.Names, maxGateways, notEmpty)
	}
	if s.Gateways.Hosts != nil {
		p.gateways.hosts = wrong.values(gates+".hosts", s.Gateways.Hosts, maxHosts, hostName)
	}
	p.gateways.preflight = wrong.option(gates+".preflight", string(s.Gateways.Preflight), string(v1alpha1.PreflightDeny), string(v1alpha1.PreflightAllow))
	if s.TokenReview != nil {
		p.declareReview(s.TokenReview, wrong)
	}
}

// hostName is a DNS name or an IPv4 address: one with a port would match none.
func hostName(s string) string {
	letters := func(c rune) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }
	odd := strings.ContainsFunc(s, func(c rune) bool { return !letters(c) && c != '-' && c != '.' })
	if s == "" || odd || strings.ContainsRune("-.", rune(s[0])) || strings.ContainsRune("-.", rune(s[len(s)-1])) {
		return "is " + quoted(s) + ": name a DNS name or an IPv4 address, without a port"
	}
	return ""
}

// declareReview takes what TokenReview needs.
func (p *Policy) declareReview(r *v1alpha1.TokenReviewSurface, wrong *problems) {
	const path = "spec.surfaces.tokenReview"
	p.review = &review{audiences: wrong.values(path+".audiences", r.Audiences, maxAPIAudiences, notEmpty)}
	p.review.username = p.declare(expression{path: path + ".username", source: r.Username, result: cel.StringType}, wrong)
	if r.Groups != "" {
		p.review.groups = p.declare(expression{path: path + ".groups", source: r.Groups, result: cel.ListType(cel.DynType)}, wrong)
	}
	if len(r.Extra) > maxExtra {
		wrong.add(path+".extra", "has %d entries: %d are possible", len(r.Extra), maxExtra)
	}
	for i, e := range r.Extra {
		at := index(path+".extra", i)
		if problem := extraKey(e.Key); problem != "" {
			wrong.add(at+".key", "%s", problem)
		}
		if slices.ContainsFunc(p.review.extra, func(other extra) bool { return other.key == e.Key }) {
			wrong.add(at+".key", "is %s a second time: leave one out", quoted(e.Key))
		}
		p.review.extra = append(p.review.extra, extra{key: e.Key, value: p.declare(expression{path: at + ".expression", source: e.Expression}, wrong)})
	}
}

// extraKey is a domain and a path in lower case, as the API server wants it.
func extraKey(s string) string {
	domain, rest, found := strings.Cut(s, "/")
	odd := func(s, more string) bool {
		return s == "" || strings.ContainsFunc(s, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(more, c)
		})
	}
	if !found || len(s) > maxName || odd(domain, "-.") || odd(rest, "-._/") || domain[0] == '-' || domain[0] == '.' {
		return "is " + quoted(s) + ": name a domain and a path in lower case, such as example.com/tenant"
	}
	return ""
}
