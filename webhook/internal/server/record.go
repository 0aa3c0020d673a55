// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"log/slog"
	"net"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// Refusal is a request that was refused before its policy was asked.
type Refusal struct {
	Surface token.Surface
	Call    Call
	Reason  token.Reason
	Message string
	// Gateway that called, if it is known.
	Gateway string
	// Remote is the address it came from.
	Remote string
	// Quiet keeps a flood of them out of the log.
	Quiet bool
}

// RecordFunc writes a refusal down.
type RecordFunc func(context.Context, Refusal)

// NewRecord counts refusals and writes for each a line like the engine's, so that the
// id in an answer always leads to one.
func NewRecord(log *slog.Logger, m *Metrics) RecordFunc {
	return func(ctx context.Context, r Refusal) {
		m.refusals.WithLabelValues(string(r.Surface), string(r.Reason)).Inc()
		level := slog.LevelInfo
		if r.Quiet {
			level = slog.LevelDebug
		}
		if !log.Enabled(ctx, level) {
			return
		}
		attrs := []slog.Attr{
			slog.String("id", r.Call.ID),
			slog.String("surface", string(r.Surface)),
			slog.String("policy", r.Call.Policy.String()),
			slog.String("verdict", "Refused"),
			slog.String("reason", string(r.Reason)),
			slog.String("message", r.Message),
			slog.String("remote", host(r.Remote)),
		}
		if r.Gateway != "" {
			attrs = append(attrs, slog.String("gateway", r.Gateway))
		}
		log.LogAttrs(ctx, level, "decision", attrs...)
	}
}

func host(remote string) string {
	if h, _, err := net.SplitHostPort(remote); err == nil {
		return h
	}
	return remote
}
