// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/internal/authn/cache"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// What nobody could tell, in words for the application team: the cause, and what to do.

func notStarted() *token.Undecided {
	return &token.Undecided{
		Reason:  token.ReasonNotStarted,
		Message: "The webhook has not read its objects yet: try again.",
	}
}

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

func policyInvalid(p *PolicyState) *token.Undecided {
	return &token.Undecided{
		Reason:  token.ReasonPolicyInvalid,
		Message: fmt.Sprintf("TokenPolicy %s does not compile. Its condition Compiled says why.", p.Ref),
		Err:     p.Err,
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

// failed is what a failed question means. Refused credentials are told to the controller.
func (e *Engine) failed(ctx context.Context, c *client, err error) *token.Undecided {
	name := c.server.Name
	var panicError *cache.PanicError
	switch {
	case errors.Is(err, introspect.ErrCredentialsRefused):
		e.hints.tell(ctx, c.Ref, HintCredentialsRefused)
		return &token.Undecided{
			Reason: token.ReasonCredentialsRefused,
			Message: fmt.Sprintf("Authorization server %s refuses the credentials of IntrospectionClient %s. "+
				"The operator puts that right: the client's conditions say how far it is.", name, c.Ref),
			Err: err,
		}
	case errors.As(err, &panicError):
		return &token.Undecided{Reason: token.ReasonInternal, Message: "A fault of the webhook: its log says more.", Err: err}
	case errors.Is(err, errNoTurn):
		return &token.Undecided{
			Reason:  token.ReasonServerUnavailable,
			Message: fmt.Sprintf("Too many questions to authorization server %s are under way: try again.", name),
			Err:     err,
		}
	case ctx.Err() != nil:
		return outOfTime(err)
	}
	return &token.Undecided{
		Reason:  token.ReasonServerUnavailable,
		Message: fmt.Sprintf("Authorization server %s gave no verdict: try again.", name),
		Err:     err,
	}
}
