// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// outcome is what comes of a question, and why.
type outcome struct {
	verdict string
	reason  token.Reason
}

// trial is a policy, a server and a token, and what comes of asking about it, wherever.
type trial struct {
	reason string
	want   outcome

	// policy, state, client and server change what a good token passes; nil for nothing.
	policy func(*v1alpha1.TokenPolicySpec)
	state  func(*engine.PolicyState)
	client func(*engine.ClientState)
	server func(*engine.ServerState)
	// absent leaves the policy out, and path says how the server is.
	absent bool
	path   string

	// claims and header change the good token, and answer what the server says about it.
	claims, header, answer object
	// inactive is what the server says, and stranger signs instead of it.
	inactive, stranger bool
	// raw is the token, instead of a JWT; the server knows it by answer, if there is one.
	raw func(id string) string

	// dpop sends a proof, mtls shows the user's certificate, other another's.
	dpop, mtls, other bool
}

// cast is who takes part.
type cast struct {
	t           *testing.T
	provider    *provider
	stranger    *signer
	key         *signer
	user, other tls.Certificate
}

func thumbprint(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return encode(sum[:])
}

// mint makes a token of its own for each question, so that none is known yet.
func (c *cast) mint(tr *trial, id string) string {
	c.t.Helper()
	if tr.raw != nil {
		raw := tr.raw(id)
		if tr.answer != nil {
			c.provider.says(raw, changed(changed(good(id), object{"active": true, "token_type": "Bearer"}), tr.answer))
		}
		return raw
	}
	changes := tr.claims
	if cnf, ok := changes["cnf"]; ok {
		changes = changed(changes, object{"cnf": map[string]any{
			"dpop": object{"jkt": c.key.thumbprint(c.t)}, "mtls": object{"x5t#S256": thumbprint(&c.user)}, "unknown": object{"kid": "k"},
		}[fmt.Sprint(cnf)]})
	}
	claims := changed(good(id), changes)
	by := c.provider.signer
	if tr.stranger {
		by = c.stranger
	}
	minted := by.sign(c.t, changed(object{"alg": "ES256", "kid": "k1", "typ": "at+jwt"}, tr.header), claims)
	if !tr.inactive {
		c.provider.says(minted, changed(changed(claims, object{"active": true, "token_type": "Bearer"}), tr.answer))
	}
	return minted
}

func (c *cast) question(tr *trial, policy, id string) question {
	c.t.Helper()
	q := question{policy: policy, token: c.mint(tr, id)}
	if tr.dpop {
		q.dpop = c.key
	}
	switch {
	case tr.mtls:
		q.certificate = &c.user
	case tr.other:
		q.certificate = &c.other
	}
	return q
}

func allowed() outcome                    { return outcome{verdict: allow} }
func denied(r token.Reason) outcome       { return outcome{deny, r} }
func undecided(r token.Reason) outcome    { return outcome{cannotTell, r} }
func seconds(ago time.Duration) int64     { return time.Now().Add(-ago).Unix() }
func hour() *metav1.Duration              { return &metav1.Duration{Duration: time.Hour} }
func opaque(id string) string             { return "opaque-" + id }
func accepts(s *v1alpha1.TokenPolicySpec) { s.Accept[0].Opaque = v1alpha1.OpaqueAccepted }

func rule(expression string) func(*v1alpha1.TokenPolicySpec) {
	return func(s *v1alpha1.TokenPolicySpec) {
		s.Require.Rules = []v1alpha1.Rule{{Name: "mine", Expression: expression, Message: "Ask for another one."}}
	}
}

func local(s *v1alpha1.TokenPolicySpec) {
	s.Accept[0].Validation, s.Freshness.MaxAge = v1alpha1.ValidationLocal, nil
}

func introspected(s *v1alpha1.TokenPolicySpec) {
	s.Accept[0].Validation = v1alpha1.ValidationIntrospect
}

func second(s *v1alpha1.TokenPolicySpec) {
	s.Accept = append(s.Accept, v1alpha1.AcceptedServer{ClientRef: v1alpha1.LocalReference{Name: "second"}})
}

// trials are about the token and what the policy wants of it.
func trials() map[string]trial {
	return map[string]trial{
		"good":                  {reason: "all that is wanted", want: allowed()},
		"introspected":          {reason: "the server alone is asked", want: allowed(), policy: introspected},
		"type JWT":              {reason: "Keycloak says so", want: allowed(), header: object{"typ": "JWT"}, answer: object{"typ": "Bearer"}},
		"aud a string":          {reason: "RFC 7519 section 4.1.3", want: allowed(), claims: object{"aud": clientID}},
		"no sub":                {reason: "Duende's machine tokens name no user", want: allowed(), claims: object{"sub": nil}},
		"inactive":              {reason: "the server says so", want: denied(token.ReasonInactive), inactive: true},
		"active a string":       {reason: "active is a boolean (RFC 7662 section 2.2)", want: denied(token.ReasonInactive), path: "/text"},
		"expired":               {reason: "past exp, whatever the server says", want: denied(token.ReasonExpired), claims: object{"exp": seconds(time.Minute)}},
		"expired, asked":        {reason: "past exp, whatever the server says", want: denied(token.ReasonExpired), claims: object{"exp": seconds(time.Minute)}, policy: introspected},
		"not yet valid":         {reason: "before nbf", want: denied(token.ReasonNotYetValid), claims: object{"nbf": seconds(-10 * time.Minute)}},
		"issued in future":      {reason: "a clock is wrong", want: denied(token.ReasonNotYetValid), claims: object{"iat": seconds(-10 * time.Minute)}},
		"another issuer":        {reason: "of nobody that is accepted", want: denied(token.ReasonInvalidIssuer), claims: object{"iss": "https://evil.example.com"}},
		"answer of another":     {reason: "what the server says is about somebody else's token", want: denied(token.ReasonInvalidIssuer), answer: object{"iss": otherIssuer}},
		"forged":                {reason: "signed by a stranger under the server's kid", want: denied(token.ReasonInvalidSignature), stranger: true},
		"unknown key":           {reason: "signed by a key that nobody published", want: denied(token.ReasonInvalidSignature), stranger: true, header: object{"kid": "k2"}},
		"alg none":              {reason: "RFC 8725 section 3.1", want: denied(token.ReasonInvalidSignature), header: object{"alg": "none"}},
		"alg HS256":             {reason: "the public key is no secret", want: denied(token.ReasonInvalidSignature), header: object{"alg": "HS256"}},
		"alg RS256, key EC":     {reason: "the key's type is the algorithm's", want: denied(token.ReasonInvalidSignature), header: object{"alg": "RS256"}},
		"another audience":      {reason: "meant for somebody else", want: denied(token.ReasonInvalidAudience), claims: object{"aud": "billing"}},
		"no audience":           {reason: "RFC 8707: missing denies", want: denied(token.ReasonInvalidAudience), claims: object{"aud": nil}},
		"no audience in answer": {reason: "what the server said counts", want: denied(token.ReasonInvalidAudience), answer: object{"aud": nil}},
		"scope missing":         {reason: "orders.read is wanted", want: denied(token.ReasonInsufficientScope), claims: object{"scope": "profile"}},
		"scope a part":          {reason: "a prefix is another scope", want: denied(token.ReasonInsufficientScope), claims: object{"scope": "orders.reader"}},
		"scp":                   {reason: "some servers say scp", want: allowed(), claims: object{"scope": nil, "scp": []string{"orders.read"}}},
		"client not allowed": {reason: "issued to another", want: denied(token.ReasonClientNotAllowed), policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Accept[0].Clients = &v1alpha1.ClientRequirement{Allow: []string{"mobile"}}
		}},
		"subject not allowed": {reason: "of another", want: denied(token.ReasonSubjectNotAllowed), policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Accept[0].Subjects = &v1alpha1.SubjectRequirement{Allow: []string{"bob"}}
		}},
		"tenant not allowed": {reason: "of another", want: denied(token.ReasonTenantNotAllowed), claims: object{"tenant": "evil"}, policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Accept[0].Tenant = &v1alpha1.TenantRequirement{Claim: "tenant", Values: []string{"acme"}}
		}},
		"acr": {reason: "another sign-in", want: denied(token.ReasonInsufficientAuthentication), claims: object{"acr": "1"}, policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Require.ACR = &v1alpha1.ACRRequirement{Values: []string{"2"}}
		}},
		"auth age": {reason: "signed in too long ago", want: denied(token.ReasonInsufficientAuthentication), claims: object{"auth_time": seconds(2 * time.Hour)}, policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Require.MaxAuthAge = hour()
		}},
		"auth age unknown": {reason: "nobody says when", want: denied(token.ReasonInsufficientAuthentication), policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Require.MaxAuthAge = hour()
		}},
		"token too old (CVE-2026-8922)": {reason: "issued before the cutoff", want: denied(token.ReasonTokenTooOld), claims: object{"iat": seconds(2 * time.Hour)}, policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Require.MaxTokenAge = hour()
		}},
		"ID token":                        {reason: "not for APIs", want: denied(token.ReasonInvalidTokenType), header: object{"typ": "JWT"}, claims: object{"typ": "ID"}},
		"refresh token":                   {reason: "not for APIs", want: denied(token.ReasonInvalidTokenType), header: object{"typ": "JWT"}, claims: object{"typ": "Refresh"}},
		"RFC 9701 introspection response": {reason: "the server's word about a token is none", want: denied(token.ReasonInvalidTokenType), header: object{"typ": "token-introspection+jwt"}},
		"DPoP proof as token":             {reason: "a proof is no token", want: denied(token.ReasonInvalidTokenType), header: object{"typ": "dpop+jwt"}},
		"unknown binding":                 {reason: "nobody can check it", want: denied(token.ReasonBoundToken), claims: object{"cnf": "unknown"}},
		"DPoP as Bearer":                  {reason: "RFC 9449: bound as Bearer is refused", want: denied(token.ReasonBoundToken), claims: object{"cnf": "dpop"}},
		"DPoP with proof":                 {reason: "possession was proved", want: allowed(), claims: object{"cnf": "dpop"}, dpop: true},
		"DPoP, caller verifies":           {reason: "the workload checks the proof", want: allowed(), claims: object{"cnf": "dpop"}, dpop: true, policy: callerVerifies},
		"unbound as DPoP":                 {reason: "the scheme promises a key", want: denied(token.ReasonUnboundToken), dpop: true},
		"mTLS with certificate":           {reason: "RFC 8705: possession was proved", want: allowed(), claims: object{"cnf": "mtls"}, mtls: true},
		"mTLS, caller verifies":           {reason: "the workload looks at the certificate", want: allowed(), claims: object{"cnf": "mtls"}, mtls: true, policy: callerVerifies},
		"mTLS without":                    {reason: "none was shown", want: denied(token.ReasonInvalidCertificate), claims: object{"cnf": "mtls"}},
		"mTLS, another":                   {reason: "another's was shown", want: denied(token.ReasonInvalidCertificate), claims: object{"cnf": "mtls"}, other: true},
		"binding wanted": {reason: "the policy takes bound tokens only", want: denied(token.ReasonUnboundToken), policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Require.Binding = &v1alpha1.BindingRequirement{Required: v1alpha1.BindingAny}
		}},
		"opaque, accepted":                 {reason: "the policy says so", want: allowed(), policy: accepts, raw: opaque, answer: object{}},
		"opaque without iss":               {reason: "it is of the server that was asked", want: allowed(), policy: accepts, raw: opaque, answer: object{"iss": nil}},
		"opaque, refused":                  {reason: "by default", want: denied(token.ReasonMalformedToken), raw: opaque, answer: object{}},
		"opaque, inactive":                 {reason: "the server does not know it", want: denied(token.ReasonInactive), policy: accepts, raw: opaque},
		"agentgateway #3064 five segments": {reason: "dots make no JWT", want: denied(token.ReasonMalformedToken), raw: func(id string) string { return "a.b.c.d." + id }, answer: object{}},
		"rule denies":                      {reason: "the policy's own", want: denied(token.ReasonRuleDenied), policy: rule("claims.sub == 'bob'")},
		"rule fails":                       {reason: "an error refuses", want: denied(token.ReasonRuleError), policy: rule("claims.missing == 'x'")},
		"rule holds":                       {reason: "the policy's own", want: allowed(), policy: rule("claims.client_id == 'web'")},
		"rule reads request":               {reason: "gateways alone know one", want: allowed(), policy: rule("request.method == 'GET' && request.path == '/v1/orders'")},
		"local":                            {reason: "nobody is asked", want: allowed(), policy: local, path: "/500"},
		"local, forged":                    {reason: "signed by a stranger", want: denied(token.ReasonInvalidSignature), policy: local, stranger: true},
		"two servers, the first's":         {reason: "its own is asked", want: allowed(), policy: second},
		"two servers, the second's":        {reason: "its own is asked", want: allowed(), policy: second, claims: object{"iss": otherIssuer}},
		"two servers, a third's":           {reason: "of neither", want: denied(token.ReasonInvalidIssuer), policy: second, claims: object{"iss": "https://evil.example.com"}},
		"oversized":                        {reason: "longer than 16 KiB", want: denied(token.ReasonMalformedToken), raw: func(string) string { return strings.Repeat("a", 17<<10) }, policy: accepts},
		"CVE-2025-27144 dots":              {reason: "8 KiB of them", want: denied(token.ReasonMalformedToken), raw: func(string) string { return strings.Repeat(".", 8<<10) }},
		"garbage bytes":                    {reason: "no token has them", want: denied(token.ReasonInvalidRequest), raw: func(id string) string { return "gar\u00ffbage " + id }, policy: accepts},
		"no token":                         {reason: "RFC 6750 section 3.1", want: denied(token.ReasonMissingToken), raw: func(string) string { return "" }},
		"not JSON": {reason: "JWT in form only", want: denied(token.ReasonMalformedToken), raw: func(id string) string {
			return base64.RawURLEncoding.EncodeToString([]byte("nope")) + "." + encode([]byte(id)) + ".c2ln"
		}},
		"host not listed": {reason: "another API's", want: denied(token.ReasonHostNotAllowed), policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Surfaces.Gateways.Hosts = []string{"billing.example.com"}
		}},
		"host listed": {reason: "its own", want: allowed(), policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Surfaces.Gateways.Hosts = []string{"orders.example.com"}
		}},
		"long subject": {reason: "5 KB of headers", want: allowed(), claims: object{"sub": strings.Repeat("s", 5<<10)}},
	}
}

func callerVerifies(s *v1alpha1.TokenPolicySpec) {
	s.Surfaces.Introspection.BoundTokens = v1alpha1.BoundTokensCallerVerifies
}

// outages are about what nobody can tell.
func outages() map[string]trial {
	unavailable := undecided(token.ReasonServerUnavailable)
	all := map[string]trial{
		"server down":             {reason: "nobody listens", want: unavailable, server: func(s *engine.ServerState) { s.IntrospectionEndpoint = "https://127.0.0.1:1/introspect" }},
		"server untrusted, asked": {reason: "of another CA", want: unavailable, policy: introspected, server: func(s *engine.ServerState) { s.CAPEM = nil }},
		"server untrusted":        {reason: "of another CA", want: undecided(token.ReasonKeysUnavailable), server: func(s *engine.ServerState) { s.CAPEM = nil }},
		"server slow":             {reason: "no answer in time", want: unavailable, path: "/slow", server: func(s *engine.ServerState) { s.Timeout = 50 * time.Millisecond }},
		"CA unreadable":           {reason: "one server that can't be called", want: unavailable, server: func(s *engine.ServerState) { s.CAPEM = []byte("no PEM") }},
		"keys missing":            {reason: "no signature can be looked at", want: undecided(token.ReasonKeysUnavailable), server: func(s *engine.ServerState) { s.JWKSURI = "https://127.0.0.1:1/keys" }},
		"keys unpublished":        {reason: "Local needs them", want: undecided(token.ReasonKeysUnavailable), policy: local, server: func(s *engine.ServerState) { s.JWKSURI = "" }},
		"credentials refused":     {reason: "ours, not the user's", want: undecided(token.ReasonCredentialsRefused), path: "/401"},
		"policy missing":          {reason: "nobody wrote it", want: undecided(token.ReasonNoPolicy), absent: true},
		"policy invalid":          {reason: "it does not compile", want: undecided(token.ReasonPolicyInvalid), state: func(s *engine.PolicyState) { s.Compiled, s.Err = nil, errors.New("no such claim") }},
		"client missing":          {reason: "the policy names another", want: undecided(token.ReasonClientNotReady), policy: func(s *v1alpha1.TokenPolicySpec) { s.Accept[0].ClientRef.Name = "nobody" }},
		"client unverified":       {reason: "it never worked", want: undecided(token.ReasonClientNotReady), client: func(c *engine.ClientState) { c.Verified = false }},
		"client bare":             {reason: "it has no credentials", want: undecided(token.ReasonClientNotReady), client: func(c *engine.ClientState) { c.Credentials = nil }},
		"server missing":          {reason: "it is gone", want: undecided(token.ReasonClientNotReady), client: func(c *engine.ClientState) { c.Server = "gone" }},
		"access withdrawn":        {reason: "the platform said so", want: undecided(token.ReasonAccessWithdrawn), server: func(s *engine.ServerState) { s.Namespaces = nil }},
		"gateway not listed": {reason: "the policy names another", want: undecided(token.ReasonGatewayNotAllowed), policy: func(s *v1alpha1.TokenPolicySpec) {
			s.Surfaces.Gateways.Names = []string{"elsewhere"}
		}},
		"no TokenReview": {reason: "the policy maps no user", want: allowed(), policy: func(s *v1alpha1.TokenPolicySpec) { s.Surfaces.TokenReview = nil }},
	}
	for _, path := range []string{"/500", "/429", "/400", "/404", "/302", "/html", "/empty", "/large"} {
		all["answer "+path] = trial{reason: "no verdict", want: unavailable, path: path}
	}
	return all
}
