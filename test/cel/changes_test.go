// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import "testing"

// The messages of what can't change.
const (
	fixedIssuer = "issuer is immutable, since clients are registered with it: create another ClusterAuthorizationServer"
	fixedKind   = "the kind of server (keycloak, duende or oauth) is immutable, since clients are registered in its way: create another ClusterAuthorizationServer"
	fixedManual = "registration is immutable, since it says whose the clients' credentials are: create another ClusterAuthorizationServer"
	fixedServer = "authorizationServerRef is immutable: delete this object and create another"
	fixedID     = "clientID is immutable, and can't be set or removed later: delete this object and create another"
	fixedSecret = "secret.name is immutable, and can't be set or removed later, since workloads mount it: delete this object and create another"
)

// changes are what an object can't become; with is what it was.
var changes = map[string]map[string]row{
	serverKind: {
		"issuer": {
			reason:  "clients are registered with it",
			refused: edits{"spec.issuer": "https://sso.example.com/realms/other"}, field: "spec.issuer", message: fixedIssuer,
			accepted: edits{"spec.connection.url": "https://keycloak/realms/other", "spec.clientIDTemplate": "eu.{namespace}.{name}"},
		},
		"keycloak": {
			reason: "clients are registered in its way", refused: duende(nil), field: "spec", message: fixedKind,
			accepted: edits{"spec.keycloak": map[string]any{}},
		},
		"duende": {
			reason: "clients are registered in its way", with: duende(nil), refused: edits{"spec.duende": absent{}, "spec.oauth": map[string]any{}}, field: "spec", message: fixedKind,
			accepted: edits{"spec.duende.url": "https://id.example.com/other"},
		},
		"oauth": {
			reason: "clients are registered in its way", with: oauth(nil), refused: edits{"spec.oauth": absent{}, "spec.keycloak": map[string]any{}}, field: "spec", message: fixedKind,
			accepted: edits{"spec.credentials": absent{}},
		},
		"registration": {
			reason: "registrations would be forgotten", refused: edits{"spec.registration": "Manual", "spec.credentials": absent{}}, field: "spec.registration", message: fixedManual,
			accepted: edits{"spec.registration": "Managed"},
		},
		"registration by default": {
			reason: "leaving it out is Managed", with: edits{"spec.registration": "Manual", "spec.credentials": absent{}},
			refused: edits{"spec.registration": absent{}, "spec.credentials.clientCredentials.secretName": "a"}, field: "spec.registration", message: fixedManual,
			accepted: edits{"spec.access": absent{}},
		},
		"spec null": {
			reason: "a spec that may go may come back as another", refused: edits{"spec": nil}, field: "spec", message: "Required value",
			accepted: edits{"spec.access": absent{}},
		},
	},
	clientKind: {
		"server": {
			reason: "it holds the registration", refused: edits{"spec.authorizationServerRef.name": "other"},
			field: "spec.authorizationServerRef", message: fixedServer, accepted: edits{"spec.displayName": "Orders"},
		},
		"clientID": {
			reason: "tokens name it", with: edits{"spec.clientID": "shop.orders"}, refused: edits{"spec.clientID": "shop.other"},
			field: "spec.clientID", message: fixedID, accepted: edits{"spec.clientID": "shop.orders", "spec.endpoint": "Server"},
		},
		"clientID set first": {
			reason: "a rule on an optional field is skipped here", refused: edits{"spec.clientID": "shop.other"},
			field: "spec.clientID", message: fixedID, accepted: edits{"spec.deletionPolicy": "Retain", "spec.adoptionPolicy": "Unowned"},
		},
		"clientID removed": {
			reason: "and here", with: edits{"spec.clientID": "shop.orders"}, refused: edits{"spec.clientID": absent{}},
			field: "spec.clientID", message: fixedID, accepted: edits{"spec.audience.mode": "OnRequest"},
		},
		"secret name": {
			reason: "workloads mount it", with: edits{"spec.secret.name": "a"}, refused: edits{"spec.secret.name": "b"},
			field: "spec.secret.name", message: fixedSecret, accepted: edits{"spec.secret.labels": map[string]any{"a": "b"}},
		},
		"secret name set first": {
			reason: "even to what the default is: the schema does not see that", refused: edits{"spec.secret.name": "orders"},
			field: "spec.secret.name", message: fixedSecret, accepted: edits{"spec.secret.keys.clientID": "ID"},
		},
		"secret name removed": {
			reason: "by a manifest that forgot it", with: edits{"spec.secret.name": "a"}, refused: edits{"spec.secret": absent{}},
			field: "spec.secret.name", message: fixedSecret, accepted: edits{"spec.secret": map[string]any{"name": "a"}},
		},
		"secret null": {
			reason: "null is the default, which has no name", with: edits{"spec.secret.name": "a"}, refused: edits{"spec.secret": nil},
			field: "spec.secret.name", message: fixedSecret, accepted: edits{"spec.policyRef.name": "other"},
		},
		"spec null": {
			reason: "a spec that may go may come back as another", refused: edits{"spec": nil}, field: "spec", message: "Required value",
			accepted: edits{"spec.policyRef.name": "other"},
		},
	},
	policyKind: {
		"spec removed": {
			reason: "a policy says something", refused: edits{"spec": absent{}}, field: "spec", message: "Required value",
			accepted: edits{"spec.accept[0].clientRef.name": "other"},
		},
	},
}

func TestChanges(t *testing.T) {
	t.Parallel()
	for kind, rows := range changes {
		for name, tc := range rows {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				kept := keep(t, edited(t, kind, tc.with))
				refused(t, change(t, edit(t, kept, tc.refused)), tc.field, tc.message)
				if err := change(t, edit(t, kept, tc.accepted)); err != nil {
					t.Errorf("%s: the neighbour is refused too: %v", tc.reason, err)
				}
			})
		}
	}
}
