// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// Why what is published may fail for as long as no process runs.
const (
	untilRestored = "the registration is gone until somebody looks"
	untilRead     = "the server's answer with the only secret that works was lost: it is read at the next look"
	oneMethod     = "the server keeps one method a client: the change is at once there, and known here before it"
)

// Whatever crashes, on every path and every kind of server: one registration, one credential
// that works, nothing foreign touched, nothing left behind; and what is published works
// while no process runs, but where the table says why not.
// Creation, adoption, and rotation and deletion at Keycloak have tests of their own. A server
// that answers each update with another registration access token is no row: where that
// answer is lost, RegistrationAccessLost is the end, and what is published works on.
func TestKilledAtEachCallOfAPath(t *testing.T) {
	chooses := oauth.Options{}
	renews := oauth.Options{NewSecret: true}
	keeps := oauth.Options{NewSecret: true, KeepOldSecret: true}
	for name, tc := range map[string]struct {
		reason string
		at     func(*testing.T) *site
		path   path
		dies   string
		points int // at least
	}{
		"keycloak/update":            {"only a name changes", keycloakSite(nil), renaming(), "", 2},
		"keycloak/map on request":    {"the scope is attached elsewhere", keycloakSite(nil), remapping(), "", 4},
		"keycloak/map fewer":         {"it is detached from one", keycloakSite(nil), narrowing(), "", 2},
		"keycloak/drift":             {"ours is put right", keycloakSite(nil), drift(), "", 1},
		"keycloak/restore":           {"the same id and secret", keycloakSite(nil), restoration(), untilRestored, 2},
		"keycloak/restore, policed":  {"also where a policy rotates", keycloakSite(policed()), restoration(), untilRestored, 2},
		"keycloak/method":            {"another kind of credential", keycloakSite(nil), rekeying(), oneMethod, 3},
		"keycloak/retain":            {"only the object goes", retaining(keycloakSite(nil)), retention(), "", 2},
		"duende/create":              {"as anywhere", duendeSite, creation(), "", 6},
		"duende/update":              {"only a name changes", duendeSite, renaming(), "", 2},
		"duende/map":                 {"scopes carry the audience", duendeSite, rescoping(), "", 2},
		"duende/rotate":              {"both work until the overlap ends", duendeSite, rotation(), "", 5},
		"duende/revoke":              {"the old one is dead everywhere", duendeSite, revocation(), "", 2},
		"duende/drift":               {"ours is put right", duendeSite, drift(), "", 1},
		"duende/restore":             {"the same name and secret", duendeSite, restoration(), untilRestored, 1},
		"duende/method":              {"a key beside a secret", duendeSite, rekeying(), "", 3},
		"duende/retain":              {"only the object goes", retaining(duendeSite), retention(), "", 2},
		"duende/delete":              {"nothing is left", duendeSite, deletion(), "", 3},
		"oauth/update":               {"only a name changes", oauthSite(chooses), renaming(), "", 3},
		"oauth/update, new secret":   {"each PUT ends the secret", oauthSite(renews), renaming(), untilRead, 5},
		"oauth/rotate, kept":         {"the facade's secret alone is rotated", oauthSite(chooses), rotation(), "", 5},
		"oauth/rotate, new secret":   {"one at a time", oauthSite(renews), rotation(), untilRead, 6},
		"oauth/rotate, side by side": {"the old one works on", oauthSite(keeps), rotation(), "", 6},
		"oauth/revoke":               {"the facade's old one is dead", oauthSite(chooses), revocation(), "", 3},
		"oauth/drift":                {"ours is put right", oauthSite(chooses), drift(), "", 3},
		"oauth/delete":               {"nothing is left", oauthSite(chooses), deletion(), "", 3},
		"oauth/unmanaged, rotate":    {"what nobody can change stays", oauthSite(oauth.Options{NoManagement: true}), rotation(), "", 3},
		"oauth/unmanaged, retain":    {"what nobody can delete stays", oauthSite(oauth.Options{NoManagement: true}), retention(), "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			if points := tc.at(t).walk(name, tc.path, tc.dies); points < tc.points {
				t.Errorf("%s: killed at %d points only: the harness does not see the calls", tc.reason, points)
			}
		})
	}
}
