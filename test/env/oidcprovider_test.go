// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// Facts of a real node-oidc-provider that RFC 7591 leaves to the server.
func TestOIDCProviderRegisters(t *testing.T) {
	o := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{}), t}
	// A client id and a secret that somebody asks for are not what it gets: the server chooses.
	asked := introspects()
	maps.Copy(asked, map[string]any{
		"client_id": "mine", "client_secret": "mine", "software_id": "0b1d", "software_version": "1", "scope": "orders.read", "strange": true,
	})
	made := o.register(asked)
	for _, member := range []string{"client_id", "client_secret"} {
		if got := made.text(member); got == "" || got == "mine" {
			t.Errorf("%s is %q", member, got)
		}
	}
	for _, member := range []string{"client_id", "client_secret", "client_id_issued_at", "registration_client_uri", "registration_access_token"} {
		if made.body[member] == nil {
			t.Errorf("no %s", member)
		}
		delete(made.body, member)
	}
	// What it knows nothing of is dropped without a word: software_id and software_version too. An
	// empty list of grants is kept as it is. 0 is for a secret that never ends.
	if diff := cmp.Diff(map[string]any{
		"client_name": "orders", "grant_types": []any{}, "response_types": []any{}, "redirect_uris": []any{}, "post_logout_redirect_uris": []any{},
		"token_endpoint_auth_method": "client_secret_basic", "scope": "orders.read", "client_secret_expires_at": 0.0,
		"application_type": "web", "id_token_signed_response_alg": "RS256", "subject_type": "public",
		"require_auth_time": false, "require_pushed_authorization_requests": false, "dpop_bound_access_tokens": false,
	}, made.body); diff != "" {
		t.Errorf("the rest of the answer (-want +got):\n%s", diff)
	}
}

func TestOIDCProviderRefuses(t *testing.T) {
	o := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{}), t}
	for name, tc := range map[string]struct {
		reason   string
		token    string
		metadata map[string]any
		want     refusal
	}{
		"no initial access token":      {"registration is not for everybody", "", introspects(), refusal{401, "invalid_token", "no access token provided"}},
		"another initial access token": {"it is compared", "x", introspects(), refusal{401, "invalid_token", "invalid token provided"}},
		"no grant_types": {
			"the default is authorization_code, which needs an address: a client for introspection must say that it has no grant",
			o.InitialAccessToken,
			map[string]any{"client_name": "orders"},
			refusal{400, "invalid_redirect_uri", "redirect_uris is mandatory property"},
		},
		"a scope that it does not know": {
			"scopes of a client are checked", o.InitialAccessToken, with(introspects(), "scope", "nothing"),
			refusal{400, "invalid_client_metadata", "scope must only contain Authorization Server supported scope values"},
		},
		"a method that it does not know": {
			"as its metadata says", o.InitialAccessToken, with(introspects(), "token_endpoint_auth_method", "tls_client_auth"),
			refusal{
				400, "invalid_client_metadata",
				"token_endpoint_auth_method must be 'client_secret_basic', 'client_secret_post', 'client_secret_jwt', or 'private_key_jwt'",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := atOIDC{o.OIDCProvider, t}
			if diff := cmp.Diff(tc.want, o.manage(http.MethodPost, o.URL+"/reg", tc.token, tc.metadata).refusal()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// RFC 7592, as this server does it.
func TestOIDCProviderManages(t *testing.T) {
	o := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{}), t}
	made := o.register(introspects())
	at, key := made.text("registration_client_uri"), made.text("registration_access_token")

	// A read answers what the registration did, secret and registration access token included.
	read := o.manage(http.MethodGet, at, key, nil)
	if diff := cmp.Diff(made.body, read.body); diff != "" || read.status != http.StatusOK {
		t.Errorf("HTTP %d, and (-registered +read):\n%s", read.status, diff)
	}
	mine := with(introspects(), "client_id", made.text("client_id"))
	for name, tc := range map[string]struct {
		reason   string
		metadata map[string]any
		want     refusal
	}{
		"what was read, as it is": {"these members must not be sent back", read.body, refusal{400, "invalid_request", "request MUST NOT include the registration_access_token field"}},
		"no client_id":            {"RFC 7592 section 2.2", introspects(), refusal{400, "invalid_request", "provided client_id does not match the authenticated client's one"}},
		"another secret":          {"nobody brings a secret along", with(mine, "client_secret", "mine"), refusal{400, "invalid_request", "provided client_secret does not match the authenticated client's one"}},
	} {
		if diff := cmp.Diff(tc.want, o.manage(http.MethodPut, at, key, tc.metadata).refusal()); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
	// With or without its secret in the request, the client keeps it: there is no rotation. What is
	// left out falls to its default; the name is gone.
	delete(mine, "client_name")
	for name, metadata := range map[string]map[string]any{"without the secret": mine, "with it": with(mine, "client_secret", made.text("client_secret"))} {
		put := o.manage(http.MethodPut, at, key, metadata)
		if put.status != http.StatusOK || put.text("client_secret") != made.text("client_secret") || put.body["client_name"] != nil {
			t.Errorf("%s: %+v", name, put)
		}
		if put.text("registration_access_token") != key {
			t.Errorf("%s: another registration access token, which nobody asked for", name)
		}
	}
}

func TestOIDCProviderDeletes(t *testing.T) {
	o := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{}), t}
	made := o.register(introspects())
	at, key := made.text("registration_client_uri"), made.text("registration_access_token")
	if got := o.manage(http.MethodDelete, at, key, nil); got.status != http.StatusNoContent {
		t.Errorf("deleting: %+v", got)
	}
	// A client that is gone is 401 and not 404 (RFC 7592 section 2.3): its token went with it. That is
	// all there is to tell absence from a token that was never good.
	gone := refusal{401, "invalid_token", "invalid token provided"}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if diff := cmp.Diff(gone, o.manage(method, at, key, nil).refusal()); diff != "" {
			t.Errorf("%s of what is gone (-want +got):\n%s", method, diff)
		}
	}
	// At another client a token is refused too, and ends: its own client can't be managed any more.
	one, other := o.register(introspects()), o.register(introspects())
	for _, at := range []string{other.text("registration_client_uri"), one.text("registration_client_uri")} {
		if diff := cmp.Diff(gone, o.manage(http.MethodGet, at, one.text("registration_access_token"), nil).refusal()); diff != "" {
			t.Errorf("a token that was used at another client (-want +got):\n%s", diff)
		}
	}
}

func TestOIDCProviderIntrospects(t *testing.T) {
	o := atOIDC{env.OIDCProviderForTest(t, env.OIDCProviderOptions{}), t}
	client := o.register(introspects())
	id, secret := client.text("client_id"), client.text("client_secret")
	opaque, jwt := o.token(env.OIDCProviderOpaque), o.token(env.OIDCProviderJWT)

	// The client is in no aud and has no scope: neither is looked at.
	seen := o.post("/token/introspection", id, secret, form("token", opaque))
	delete(seen.body, "iat")
	delete(seen.body, "exp")
	if diff := cmp.Diff(map[string]any{
		"active": true, "aud": env.OIDCProviderOpaque, "scope": "orders.read", "client_id": o.TokenClientID, "iss": o.Issuer, "token_type": "Bearer",
	}, seen.body); diff != "" {
		t.Errorf("an opaque token (-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct {
		reason       string
		path, secret string
		token        string
		want         refusal
	}{
		"a JWT":         {"it keeps none, so it can't look one up: no outage, a capability", "/token/introspection", secret, jwt, refusal{400, "unsupported_token_type", "Structured JWT Tokens cannot be introspected via the introspection_endpoint"}},
		"a revoked JWT": {"nor can it be revoked", "/token/revocation", secret, jwt, refusal{400, "unsupported_token_type", "Structured JWT Tokens cannot be revoked via the revocation_endpoint"}},
		"another's":     {"a token is revoked by the client that got it", "/token/revocation", secret, opaque, refusal{400, "invalid_request", "client is not authorized to revoke the presented token"}},
		"a bad secret":  {"clients prove themselves", "/token/introspection", "x", opaque, refusal{401, "invalid_client", "client authentication failed"}},
	} {
		if diff := cmp.Diff(tc.want, o.post(tc.path, id, tc.secret, form("token", tc.token)).refusal()); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
	inactive := said{http.StatusOK, map[string]any{"active": false}}
	for name, token := range map[string]string{"no token of its": "x", "revoked": opaque} {
		if got := o.post("/token/revocation", o.TokenClientID, o.TokenClientSecret, form("token", token)); got.status != http.StatusOK {
			t.Errorf("%s: revoking: %+v", name, got)
		}
		if diff := cmp.Diff(inactive, o.post("/token/introspection", id, secret, form("token", token)), cmp.AllowUnexported(said{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
