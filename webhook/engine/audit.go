// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// verdictUndecided stands in logs and metrics for "nobody could tell".
const verdictUndecided = "Undecided"

// audit writes a line for each decision.
type audit struct {
	log         *slog.Logger
	every       uint64
	allows      atomic.Uint64
	fingerprint func(token.Token) string
}

// level is Info for what is always written; allows are many.
func (a *audit) level(d *token.Decision, undecided *token.Undecided) slog.Level {
	if undecided != nil || d.Verdict != token.Allow {
		return slog.LevelInfo
	}
	if a.every > 0 && a.allows.Add(1)%a.every == 0 {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

func (a *audit) write(ctx context.Context, req *token.Request, c *course, d *token.Decision, undecided *token.Undecided) {
	level := a.level(d, undecided)
	if !a.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", req.ID),
		slog.String("surface", string(req.Surface)),
		slog.String("policy", req.Policy.String()),
		slog.String("token", a.fingerprint(req.Token)),
	}
	if c.policy != nil {
		attrs = append(attrs, slog.Int64("generation", c.policy.Generation))
	}
	if req.Gateway != "" {
		attrs = append(attrs, slog.String("gateway", req.Gateway))
	}
	if req.Client != (token.Ref{}) {
		attrs = append(attrs, slog.String("client", req.Client.String()))
	}
	if req.ServiceAccount != (token.Ref{}) {
		attrs = append(attrs, slog.String("serviceAccount", req.ServiceAccount.String()))
	}
	if c.accepted != nil && c.accepted.client != nil {
		attrs = append(attrs, slog.String("accepted", c.accepted.name))
	}
	if c.stale {
		attrs = append(attrs, slog.Bool("stale", true))
	}
	if c.facts != nil {
		attrs = append(attrs, slog.Bool("cached", c.cached), slog.Int64("ageMilliseconds", c.age.Milliseconds()))
	}
	if undecided != nil {
		attrs = append(attrs,
			slog.String("verdict", verdictUndecided),
			slog.String("reason", string(undecided.Reason)),
			slog.String("message", undecided.Message))
		if undecided.Err != nil {
			attrs = append(attrs, slog.String("error", undecided.Err.Error()))
		}
	} else {
		attrs = append(attrs,
			slog.String("verdict", d.Verdict.String()),
			slog.String("reason", string(d.Reason)),
			slog.String("message", d.Message))
		if hint := hintOf(req, c, d); hint != "" {
			attrs = append(attrs, slog.String("hint", hint))
		}
	}
	a.log.LogAttrs(ctx, level, "decision", attrs...)
}

// hintOf is what a refused token says of itself, where the server did not say why:
// most often it is a token of another API. Unverified, so it is for this line only.
func hintOf(req *token.Request, c *course, d *token.Decision) string {
	var lead, expected string
	if c.accepted != nil && c.accepted.client != nil && c.accepted.client.server != nil {
		expected = c.accepted.client.server.Issuer
	}
	switch {
	case c.policy == nil:
		return ""
	case d.Reason == token.ReasonInactive && expected != "":
		lead = "not active for " + c.accepted.client.ClientID
	case d.Reason == token.ReasonInvalidIssuer && expected != "":
		lead = "not of " + expected
	case d.Reason == token.ReasonInvalidIssuer:
		lead = "of none of the accepted issuers"
	case d.Reason == token.ReasonInvalidSignature:
		lead = "not signed by " + expected
	default:
		return ""
	}
	issuer, party, audience, ok := token.Hint(req.Token)
	if !ok {
		return lead
	}
	said := make([]string, 0, 3)
	if issuer != expected {
		said = append(said, "its iss is "+orNone(token.Escape(issuer)))
	}
	said = append(said, "its aud is "+orNone(audiences(audience)))
	if party != "" {
		said = append(said, "its azp is "+token.Escape(party))
	}
	return lead + "; " + strings.Join(said, ", ") + " (not verified)"
}

// audiences are the first few.
func audiences(all []string) string {
	const most = 4
	said := make([]string, 0, most+1)
	for i, aud := range all {
		if i == most {
			said = append(said, "…")
			break
		}
		said = append(said, token.Escape(aud))
	}
	return strings.Join(said, " ")
}

func orNone(s string) string {
	if s == "" {
		return "missing"
	}
	return s
}
