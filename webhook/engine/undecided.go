// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/jwt"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// What nobody could tell, in words for the application team: the cause, and what to do.

func noPolicy(p token.Ref) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonNoPolicy,
		Message: fmt.Sprintf("There is no TokenPolicy %s. Create TokenPolicy %s in namespace %s, or correct the policy in the gateway's URL.",
			p, p.Name, p.Namespace),
	}
}

func noPolicyOfClient(p, c token.Ref) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonNoPolicy,
		Message: fmt.Sprintf("No TokenPolicy %s accepts IntrospectionClient %s. "+
			"Create TokenPolicy %s in namespace %s, or name client %s in its spec.accept.",
			p, c, p.Name, p.Namespace, c.Name),
	}
}

func foreignPolicy(c token.Ref) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonNoPolicy,
		Message: fmt.Sprintf("IntrospectionClient %s is answered from the policies of its namespace only. "+
			"Call the introspection_endpoint of its Secret.", c),
	}
}

var errDuplicateIssuer = errors.New("two entries of spec.accept are of one issuer")

func policyInvalid(p *PolicyState, why error) *token.Undecided {
	return &token.Undecided{
		Reason:  token.ReasonPolicyInvalid,
		Message: fmt.Sprintf("TokenPolicy %s can't be asked as it is. Its conditions Compiled and ClientsReady say why.", p.Ref),
		Err:     cmp.Or(why, p.Err),
	}
}

func noKeys(p token.Ref, server string) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonKeysUnavailable,
		Message: fmt.Sprintf("ClusterAuthorizationServer %s publishes no keys to verify its tokens with. "+
			"Set validation Introspect in spec.accept of TokenPolicy %s.", server, p),
	}
}

func serviceAccountUnknown(account, p token.Ref) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonCallerUnknown,
		Message: fmt.Sprintf("ServiceAccount %s may not ask TokenPolicy %s: the policy does not list it in "+
			"spec.surfaces.introspection.serviceAccounts, or does not exist.", account, p),
	}
}

func surfaceNotConfigured(p token.Ref) *token.Undecided {
	return &token.Undecided{
		Reason:  token.ReasonSurfaceNotConfigured,
		Message: fmt.Sprintf("TokenPolicy %s does not say how it answers here: set its spec.surfaces.", p),
	}
}

func snapshotTooOld(limit time.Duration) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonSnapshotTooOld,
		Message: fmt.Sprintf("The webhook has not reached the Kubernetes API server for longer than %s (--max-snapshot-age), "+
			"and does not know whether its policies still hold. Ask the platform team.", limit),
	}
}

func clientMissing(p, c token.Ref) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonClientNotReady,
		Message: fmt.Sprintf("TokenPolicy %s names IntrospectionClient %s, which does not exist or is not registered yet. "+
			"Create it, or look at its conditions.", p, c),
	}
}

func clientUnverified(c token.Ref) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonClientNotReady,
		Message: fmt.Sprintf("IntrospectionClient %s is not verified yet: no introspection with its credentials has succeeded. "+
			"Its conditions say why.", c),
	}
}

func serverMissing(c token.Ref) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonClientNotReady,
		Message: fmt.Sprintf("The authorization server of IntrospectionClient %s does not exist or is not ready. "+
			"The client's conditions say why.", c),
	}
}

func accessWithdrawn(c token.Ref, server string) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonAccessWithdrawn,
		Message: fmt.Sprintf("Namespace %s may not use ClusterAuthorizationServer %s (any more). "+
			"Ask the platform team: its spec.access says who may.", c.Namespace, server),
	}
}

func serverUnusable(server string, err error) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonServerUnavailable,
		Message: fmt.Sprintf("ClusterAuthorizationServer %s can't be called as it is configured. "+
			"Ask the platform team: its conditions say why.", server),
		Err: err,
	}
}

func tooOld(server string, p token.Ref, maxAge time.Duration) *token.Undecided {
	return &token.Undecided{
		Reason: token.ReasonAnswerTooOld,
		Message: fmt.Sprintf("Authorization server %s took longer to answer than the %s that spec.freshness.maxAge of TokenPolicy %s allows. "+
			"Raise it, or look at the server's latency.", server, maxAge, p),
	}
}

func outOfTime(err error) *token.Undecided {
	return &token.Undecided{
		Reason:  token.ReasonServerUnavailable,
		Message: "The request ended before there was an answer: try again.",
		Err:     err,
	}
}

func panicked(r any) *token.Undecided {
	return &token.Undecided{Reason: token.ReasonInternal, Message: "A fault of the webhook: its log says more.", Err: cache.Recovered(r)}
}

func unrendered(err error) *token.Undecided {
	return &token.Undecided{Reason: token.ReasonInternal, Message: "The answer could not be written: the webhook's log says more.", Err: err}
}

// failed is what a failed question means: a refusal, if it says that the token is bad; else
// nobody could tell. Refused credentials are told to the controller.
func (e *Engine) failed(ctx context.Context, c *course, t token.Token, err error) (*token.Decision, *token.Undecided) {
	if refused, ok := errors.AsType[*jwt.Refused](err); ok {
		return &token.Decision{Reason: refused.Reason, Message: refused.Message}, nil
	}
	if errors.Is(err, introspect.ErrUnsupportedToken) {
		return unsupported(t), nil
	}
	client := c.accepted.client
	name := client.server.Name
	u := &token.Undecided{Reason: token.ReasonServerUnavailable, Err: err}
	_, panicked := errors.AsType[*cache.PanicError](err)
	_, keys := errors.AsType[*jwt.Unavailable](err)
	switch {
	case errors.Is(err, introspect.ErrCredentialsRefused):
		e.hints.tell(ctx, client.Ref, HintCredentialsRefused)
		u.Reason = token.ReasonCredentialsRefused
		u.Message = fmt.Sprintf("Authorization server %s refuses the credentials of IntrospectionClient %s. "+
			"The operator puts that right: the client's conditions say how far it is.", name, client.Ref)
	case panicked:
		u.Reason, u.Message = token.ReasonInternal, "A fault of the webhook: its log says more."
	case keys:
		u.Reason = token.ReasonKeysUnavailable
		u.Message = fmt.Sprintf("The keys of authorization server %s can't be had: try again.", name)
	case errors.Is(err, errBudget):
		u.Reason = token.ReasonMissBudget
		u.Message = fmt.Sprintf("Namespace %s asked about too many tokens that were no good: try again.", c.policy.Ref.Namespace)
	case errors.Is(err, errNoTurn):
		u.Reason = token.ReasonOverloaded
		u.Message = fmt.Sprintf("Too many questions to authorization server %s are under way: try again.", name)
	case errors.Is(err, errOpen):
		u.Message = fmt.Sprintf("Authorization server %s gave no verdict the last times: try again.", name)
	case ctx.Err() != nil:
		u = outOfTime(err)
	default:
		u.Message = fmt.Sprintf("Authorization server %s gave no verdict: try again.", name)
	}
	return nil, u
}

// unsupported is a refusal: the server knows no such tokens, today as tomorrow. It is neither an
// outage nor a word about this one.
func unsupported(t token.Token) *token.Decision {
	form, do := "opaque", ""
	if _, _, _, isJWT := token.Hint(t); isJWT {
		form, do = "JWT", ": the policy needs validation Local"
	}
	return &token.Decision{
		Reason:  token.ReasonUnsupportedToken,
		Message: "The authorization server does not introspect tokens of this form (" + form + ")" + do + ".",
	}
}
