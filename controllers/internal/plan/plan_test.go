// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	const owner = "eu-1/shop/orders"
	for name, tc := range map[string]struct {
		reason   string
		in       Input
		want     Action
		restores bool
		says     string
	}{
		"first": {
			reason: "nothing is there and we never registered: create",
			in:     Input{}, want: Create, says: "registering",
		},
		"vanished": {
			reason: "somebody deleted what we had registered: create again, and say so",
			in:     Input{Registered: true}, want: Create, restores: true, says: "had vanished",
		},
		"ours": {
			reason: "as it should be: nothing to do",
			in:     Input{Exists: true, FoundOwner: owner, Registered: true}, want: None,
		},
		"lost answer": {
			reason: "created, but the process died before it knew: ours by the mark, not news",
			in:     Input{Exists: true, FoundOwner: owner, Drift: []string{"secret"}}, want: Update,
		},
		"drift": {
			reason: "changed by hand after we registered: put right, and say what",
			in:     Input{Exists: true, FoundOwner: owner, Drift: []string{"enabled", "secret"}, Registered: true}, want: Update, restores: true, says: "enabled, secret",
		},
		"unmarked": {
			reason: "a client without our mark is somebody's, whatever its name",
			in:     Input{Exists: true, Registered: true}, want: Refuse, says: "nobody's owner mark",
		},
		"asked, and not allowed": {
			reason: "the server's people have the last word, and the message says so",
			in:     Input{Exists: true, AdoptionAsked: true, Server: "corporate"}, want: RefuseAdoption, says: "spec.access.adoption of ClusterAuthorizationServer corporate",
		},
		"allowed, and not asked": {
			reason: "nothing is taken over unasked, and the message says how it would be",
			in:     Input{Exists: true, AdoptionAllowed: true}, want: Refuse, says: "set spec.adoptionPolicy Unowned",
		},
		"asked and allowed": {
			reason: "nobody's, and both say so: take it over",
			in:     Input{Exists: true, AdoptionAsked: true, AdoptionAllowed: true}, want: Adopt, says: "taking over",
		},
		"asked and allowed, another's": {
			reason: "what bears a mark is never taken over",
			in:     Input{Exists: true, FoundOwner: "eu-1/shop/billing", AdoptionAsked: true, AdoptionAllowed: true}, want: Refuse, says: "eu-1/shop/billing",
		},
		"asked and allowed, and gone": {
			reason: "nothing to take over: register",
			in:     Input{AdoptionAsked: true, AdoptionAllowed: true}, want: Create, says: "registering",
		},
		"adopted": {
			reason: "ours by the mark, whatever is asked now",
			in:     Input{Exists: true, FoundOwner: owner, AdoptionAsked: true, AdoptionAllowed: true}, want: None,
		},
		"another object's": {
			reason: "another object's mark: refuse, with its name",
			in:     Input{Exists: true, FoundOwner: "eu-1/shop/billing"}, want: Refuse, says: "eu-1/shop/billing",
		},
		"another cluster's": {
			reason: "the same object of another cluster is another owner",
			in:     Input{Exists: true, FoundOwner: "us-1/shop/orders", Drift: []string{"secret"}}, want: Refuse, says: "us-1/shop/orders",
		},
		"a mark that attacks a terminal": {
			reason: "anybody at the server may have written the mark",
			in:     Input{Exists: true, FoundOwner: "x\x1b[2J" + strings.Repeat("a", 300)}, want: Refuse, says: "x?[2J",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.in.ClientID, tc.in.Owner = "shop.orders", owner
			got := Decide(tc.in)
			if got.Action != tc.want || got.Restores != tc.restores {
				t.Errorf("%s: got action %d, restores %t", tc.reason, got.Action, got.Restores)
			}
			if !strings.Contains(got.Message, tc.says) || len(got.Message) > 500 {
				t.Errorf("%s: the message is %q", tc.reason, got.Message)
			}
		})
	}
}
