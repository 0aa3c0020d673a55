// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Freshness bounds the age of the server's answer.
// +kubebuilder:validation:MinProperties=0
type Freshness struct {
	// maxAge is how old the introspection may be that an allow rests on, 0s to
	// 1h: from T + maxAge on, no token is allowed that the server called
	// inactive at T. With 0s each request asks the server. Default 30s. Refused
	// where every entry of accept has validation Local.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="maxAge must be a duration such as 30s, from 0s to 1h"
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`
}

// Response says what callers learn about an accepted token.
// +kubebuilder:validation:MinProperties=0
type Response struct {
	// headers that gateways hand to the API (forward-auth, ext_authz), at most
	// 16. Each is sent in every allow, empty if the token does not have the
	// claim.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(h, self.exists_one(g, g.name.lowerAscii() == h.name.lowerAscii()))",message="two headers have the same name, compared without case: give each its own"
	Headers []ResponseHeader `json:"headers,omitempty"`

	// claims that the introspection endpoint answers with, 1 to 64; default the
	// standard members of RFC 7662 section 2.2. active and token_type are always
	// there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(c, c != 'active' && c != 'cnf')",message="leave out active, which is always there, and cnf, which surfaces.introspection.boundTokens decides about"
	Claims []ClaimName `json:"claims,omitempty"`
}

// ResponseHeader is a header made of a claim, or of several by an expression.
// +kubebuilder:validation:XValidation:rule="has(self.claim) != has(self.expression)",message="say what the header carries: exactly one of claim and expression"
type ResponseHeader struct {
	// name of the header, for example X-Auth-Subject: at most 64 letters, digits
	// and hyphens. Hop-by-hop headers, credentials and those that gateways set
	// themselves are refused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][A-Za-z0-9-]*$')",message="a header's name must start with a letter and hold only letters, digits and hyphens"
	// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii() in ['host','authorization','dpop','proxy-authorization','proxy-authenticate','proxy-connection','www-authenticate','cookie','set-cookie','connection','keep-alive','te','trailer','transfer-encoding','upgrade','expect','content-length','content-type','content-encoding','date','location','retry-after','cache-control','introspection-decision','forwarded','x-real-ip','x-original-url','x-original-method','x-sendfile','content-range','vary','via','server']) && !self.lowerAscii().startsWith('x-forwarded-') && !self.lowerAscii().startsWith('x-accel-')",message="this header has a meaning of its own: name one of yours, such as X-Auth-Subject"
	Name string `json:"name,omitempty"`

	// claim whose value the header carries, at most 128 characters of name:
	// strings and numbers as they are, other values as JSON.
	// +optional
	Claim ClaimName `json:"claim,omitempty"`

	// expression in CEL over claims that gives the value instead, at most 1024
	// characters; empty if it can't be evaluated.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression,omitempty"`
}
