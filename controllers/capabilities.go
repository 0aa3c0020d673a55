// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// capabilitiesOf is what a server's status shows of what it can do.
func capabilitiesOf(server *v1alpha1.ClusterAuthorizationServer, rights string, can provider.Capabilities) *v1alpha1.ServerCapabilities {
	c := &v1alpha1.ServerCapabilities{
		Provider: settingsOf(server).Dialect, Rights: rights,
		Overlap: string(can.Overlap), ClientIDs: string(can.ClientIDs),
		Read: string(can.Read), Update: string(can.Update), Delete: string(can.Delete),
		Disable: string(can.Disable), Restore: string(can.Restore),
		AudienceCheck: string(can.AudienceCheck), ScopeCheck: string(can.ScopeCheck),
		TokenForms: v1alpha1.TokenForms{Opaque: string(can.OpaqueTokens), JWT: string(can.JWTs)},
		Revocation: v1alpha1.TokenRevocation{Opaque: string(can.OpaqueRevocation), JWT: string(can.JWTRevocation)},
	}
	if was := server.Status.Capabilities; was != nil && was.Provider == c.Provider {
		remember(was, c)
	}
	for _, m := range can.Methods {
		c.AuthenticationMethods = append(c.AuthenticationMethods, string(m))
	}
	for _, m := range can.AudienceModes {
		c.AudienceModes = append(c.AudienceModes, v1alpha1.AudienceMode(m))
	}
	return c
}

// remember keeps what a server has shown once: a new process has not seen it yet.
func remember(was, c *v1alpha1.ServerCapabilities) {
	for _, shown := range []struct {
		before string
		now    *string
	}{
		{was.Overlap, &c.Overlap},
		{was.Read, &c.Read},
		{was.Update, &c.Update},
		{was.Delete, &c.Delete},
	} {
		if *shown.now == string(provider.SupportUnknown) && shown.before != "" {
			*shown.now = shown.before
		}
	}
}
