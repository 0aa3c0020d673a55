// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

// policyTogether are the rules about several fields.
func policyTogether() map[string]row {
	const (
		headers    = "spec.respond.headers"
		validation = "spec.accept[0].validation"
		claims     = "say what the header carries: exactly one of claim and expression"
	)
	entry := func(name string, more ...string) any {
		e := map[string]any{"clientRef": map[string]any{"name": name}}
		for _, option := range more {
			e["opaque"] = option
		}
		return e
	}
	two := edits{"spec.accept": []any{entry("a"), entry("b")}}
	issuer := map[string]any{"name": "X-Auth-Issuer", "claim": "iss"}
	return map[string]row{
		"maxAge of Local": {
			reason: "nobody is asked", with: edits{validation: "Local"},
			refused: edits{"spec.freshness.maxAge": "30s"}, field: "spec.freshness.maxAge",
			message:  "with validation Local no server is asked, and a revoked token is good until its exp: leave out freshness.maxAge, or set validation to LocalThenIntrospect",
			accepted: edits{"spec.freshness.maxAge": "30s", validation: "LocalThenIntrospect"},
		},
		"outage of Local": {
			reason: "nothing is stale", with: edits{validation: "Local"},
			refused: edits{"spec.outage.mode": "ServeStale"}, field: "spec.outage", message: "with validation Local no answer can be stale: leave out outage",
			accepted: edits{"spec.outage.mode": "Deny"},
		},
		"staleFor of Deny": {
			reason: "it reads as if it did something", with: edits{"spec.outage.staleFor": "1m"},
			refused: edits{"spec.outage.mode": "Deny"}, field: "spec.outage.staleFor", message: "staleFor is for mode ServeStale: set it, or leave out staleFor",
			accepted: edits{"spec.outage.mode": "ServeStale"},
		},
		"DPoP without a resource": {
			reason: "a proof names a URL", with: edits{"spec.require.binding.required": "DPoP"},
			refused: edits{"spec.resource.metadataURL": "https://orders.example.com"}, field: "spec.require.binding", message: "a DPoP proof names the URL of the API: set resource.identifier",
			accepted: edits{"spec.resource.identifier": "https://orders.example.com"},
		},
		"binding empty": {
			reason: "it says nothing", refused: edits{"spec.require.binding": map[string]any{}}, field: "spec.require.binding",
			message: "should have at least 1 properties", accepted: edits{"spec.require.binding": map[string]any{"required": "MTLS"}},
		},
		"sub of two servers": {
			reason: "two users would be one", with: two,
			refused: edits{headers: []any{header("X-Auth-Subject")}}, field: headers, message: "with several servers a subject is unique beside its issuer only: add a header for the claim iss",
			accepted: edits{headers: []any{header("X-Auth-Subject"), issuer}},
		},
		"client twice": {
			reason: "whose requirements?", refused: edits{"spec.accept": []any{entry("a"), entry("a")}}, field: "spec.accept",
			message: "each client may stand in one entry only", accepted: two,
		},
		"opaque twice": {
			reason: "it would be shown to both", refused: edits{"spec.accept": []any{entry("a", "Accepted"), entry("b", "Accepted")}}, field: "spec.accept",
			message:  "an opaque token may be sent to one server only: set opaque Accepted in at most one entry",
			accepted: edits{"spec.accept": []any{entry("a", "Accepted"), entry("b", "Refused")}},
		},
		"header of nothing": {
			reason: "nothing to send", refused: edits{headers: []any{map[string]any{"name": "X-A"}}}, field: headers + "[0]", message: claims,
			accepted: edits{headers: []any{map[string]any{"name": "X-A", "expression": "claims.sub"}}},
		},
		"header of both": {
			reason: "which one?", refused: edits{headers: []any{map[string]any{"name": "X-A", "expression": "claims.sub", "claim": "sub"}}}, field: headers + "[0]", message: claims,
			accepted: edits{headers: []any{map[string]any{"name": "X-A", "claim": "sub"}}},
		},
	}
}
