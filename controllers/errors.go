// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"time"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// ofProvider says who must act about a provider's error. server is the name of
// the ClusterAuthorizationServer.
func ofProvider(err error, server string) error {
	var e *provider.Error
	if !errors.As(err, &e) {
		return err // the fence's, or a cancelled context's
	}
	said := ""
	if e.Detail != "" {
		said = fmt.Sprintf(" It said: %s.", e.Detail)
	}
	switch e.Kind {
	case provider.KindUnreachable:
		return tryAgain(v1alpha1.ReasonUnreachable, err, "The authorization server does not answer (%s). It is asked again; nothing is lost.", e.Op)
	case provider.KindCredentials:
		return worldMustChange(time.Minute, v1alpha1.ReasonCredentialsRefused,
			"The authorization server refused the operator's sign-in.%s Put the right client_id and client_secret into the Secret that ClusterAuthorizationServer %s names in spec.credentials.", said, server)
	case provider.KindForbidden:
		return userMustAct(v1alpha1.ReasonForbidden,
			"The operator may not %s.%s Give the client that it signs in with the role manage-clients of the realm's client realm-management.", e.Op, said)
	case provider.KindNotFound:
		return worldMustChange(time.Minute, v1alpha1.ReasonIssuerNotFound,
			"The realm of ClusterAuthorizationServer %s is not there any more (%s).%s", server, e.Op, said)
	case provider.KindTokenClientNotFound:
		return userMustAct(v1alpha1.ReasonTokenClientNotFound,
			"Token client %q does not exist at the server, so no token of it can name this API. Create it there, or take it out of spec.audience.tokenClients here or spec.keycloak.tokenClients of ClusterAuthorizationServer %s.", e.Subject, server)
	case provider.KindTooManyAudiences:
		return worldMustChange(5*time.Minute, v1alpha1.ReasonTooManyAudiences,
			"Token client %q carries as many APIs as access.audience.maxPerTokenClient of ClusterAuthorizationServer %s allows, and each makes its tokens longer. Use spec.audience.mode OnRequest, other token clients, or have the platform team raise the cap.", e.Subject, server)
	case provider.KindConflict:
		return userMustAct(v1alpha1.ReasonOwnershipConflict,
			"Something of that name exists at the server and is not this object's (%s).%s Set another spec.clientID in a new object, or delete it at the server.", e.Op, owned(e.Subject))
	case provider.KindInvalid:
		return userMustAct(v1alpha1.ReasonInvalidRegistration, "The authorization server refuses the registration (%s).%s Correct the spec.", e.Op, said)
	case provider.KindRateLimited:
		return worldMustChange(max(e.RetryAfter, time.Second), v1alpha1.ReasonRateLimited,
			"The authorization server, or the limits of ClusterAuthorizationServer %s, ask to wait (%s).", server, e.Op)
	case provider.KindServer:
		return tryAgain(v1alpha1.ReasonServerError, err, "The authorization server is in trouble (%s).%s It is asked again; nothing is lost.", e.Op, said)
	default:
		return err
	}
}

func owned(mark string) string {
	if mark == "" {
		return " It bears no owner mark."
	}
	return fmt.Sprintf(" It belongs to %s.", provider.Clean(mark))
}
