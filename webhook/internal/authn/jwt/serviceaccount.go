// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// ServiceAccount verifies a token of a Kubernetes ServiceAccount and says whose it is, and
// until when. The audience must be its only one: with another, whoever that is could use it here. The error
// is *Refused or *Unavailable.
func (v *Verifier) ServiceAccount(ctx context.Context, t token.Token, audience string) (account token.Ref, until time.Time, err error) {
	facts, err := v.Verify(ctx, t)
	if err != nil {
		return token.Ref{}, time.Time{}, err
	}
	switch {
	case audience == "" || len(facts.Audience) != 1 || facts.Audience[0] != audience:
		return token.Ref{}, time.Time{}, refuse(token.ReasonInvalidAudience, "The ServiceAccount's token is not for this audience alone.")
	case v.clock().Before(facts.NotBefore):
		return token.Ref{}, time.Time{}, refuse(token.ReasonNotYetValid, "The ServiceAccount's token is not valid yet.")
	}
	account, ok := accountOf(facts.Claims["kubernetes.io"])
	if !ok || facts.Subject != "system:serviceaccount:"+account.Namespace+":"+account.Name {
		return token.Ref{}, time.Time{}, refuse(token.ReasonMalformedToken, "The token is not a ServiceAccount's.")
	}
	return account, facts.ExpiresAt, nil
}

// accountOf reads the claim kubernetes.io. A colon or a slash in a name would make two
// accounts one.
func accountOf(claim json.RawMessage) (token.Ref, bool) {
	members, err := token.Members(claim)
	if err != nil {
		return token.Ref{}, false
	}
	account, err := token.Members(members["serviceaccount"])
	if err != nil {
		return token.Ref{}, false
	}
	var ref token.Ref
	if json.Unmarshal(members["namespace"], &ref.Namespace) != nil || json.Unmarshal(account["name"], &ref.Name) != nil {
		return token.Ref{}, false
	}
	ok := ref.Namespace != "" && ref.Name != "" && !strings.ContainsAny(ref.Namespace+ref.Name, ":/")
	return ref, ok
}
