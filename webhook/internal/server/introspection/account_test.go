// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// account verifies tokens that are namespace/name@audience in base64.
func account(_ context.Context, t token.Token, audience string) (token.Ref, error) {
	decoded, err := base64.RawURLEncoding.DecodeString(t.Reveal())
	if err != nil {
		return token.Ref{}, err
	}
	who, is, _ := strings.Cut(string(decoded), "@")
	switch {
	case who == "outage":
		return token.Ref{}, &token.Undecided{Reason: token.ReasonKeysUnavailable, Message: "The cluster's keys can't be had."}
	case is != audience:
		return token.Ref{}, errors.New("for another audience")
	}
	namespace, name, _ := strings.Cut(who, "/")
	return token.Ref{Namespace: namespace, Name: name}, nil
}

// TestServiceAccounts: a workload without a Secret. Its token is for exactly this policy,
// and the policy says whether it may ask: whoever may not is a stranger.
func TestServiceAccounts(t *testing.T) {
	const here = "https://webhook.introspection.svc/introspect/shop/orders"
	shows := func(raw string) http.Header {
		return http.Header{"Content-Type": {formType}, "Authorization": {"Bearer " + base64.RawURLEncoding.EncodeToString([]byte(raw))}}
	}
	refused := &token.Undecided{Reason: token.ReasonCallerUnknown, Message: "canary-message"}
	cases := map[string]struct {
		reason string
		header http.Header
		body   string
		err    error
		status int
		code   string // error
		asked  token.Ref
	}{
		"its token":         {"the audience is this URL", shows("shop/api@" + here), "token=t", nil, 200, "", token.Ref{Namespace: "shop", Name: "api"}},
		"scheme lower":      {"schemes have no case", with(shows("shop/api@"+here), "Authorization", strings.Replace(shows("shop/api@"+here).Get("Authorization"), "Bearer", "bearer", 1)), "token=t", nil, 200, "", token.Ref{Namespace: "shop", Name: "api"}},
		"client_id too":     {"some libraries always send it", shows("shop/api@" + here), "token=t&client_id=x", nil, 200, "", token.Ref{Namespace: "shop", Name: "api"}},
		"secret too":        {"RFC 6749 section 2.3: one method", shows("shop/api@" + here), "token=t&client_id=x&client_secret=y", nil, 400, "invalid_request", token.Ref{}},
		"another policy's":  {"a token for one is not for another", shows("shop/api@" + here + "2"), "token=t", nil, 401, "invalid_client", token.Ref{}},
		"the API server's":  {"not for us", shows("shop/api@https://kubernetes.default.svc"), "token=t", nil, 401, "invalid_client", token.Ref{}},
		"nobody's":          {"nobody", shows("/@" + here), "token=t", nil, 401, "invalid_client", token.Ref{}},
		"garbage":           {"it proves nothing", with(shows(""), "Authorization", "Bearer a,b"), "token=t", nil, 401, "invalid_client", token.Ref{}},
		"keys are away":     {"nobody could tell", shows("outage"), "token=t", nil, 503, "temporarily_unavailable", token.Ref{}},
		"not listed":        {"a stranger, whether the policy exists or not", shows("shop/other@" + here), "token=t", refused, 401, "invalid_client", token.Ref{Namespace: "shop", Name: "other"}},
		"a stranger client": {"no list of policies for strangers", basic("shop.orders", "s3cret"), "token=t", refused, 401, "invalid_client", token.Ref{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, &engine{decision: token.Decision{Verdict: token.Allow}, err: c.err})
			resp, body := f.do(t, http.MethodPost, path, c.body, c.header)
			if resp.StatusCode != c.status || (c.code != "") != strings.HasPrefix(body, `{"error":"`+c.code+`",`) || strings.Contains(body, "canary") {
				t.Errorf("%s: answered %d, %s", c.reason, resp.StatusCode, body)
			}
			if challenge := resp.Header.Get("WWW-Authenticate"); (c.status == 401) != strings.HasPrefix(challenge, "Basic realm=") {
				t.Errorf("%s: challenge %q", c.reason, challenge)
			}
			var got []token.Ref
			for _, asked := range f.engine.asked {
				got = append(got, asked.ServiceAccount)
			}
			var want []token.Ref
			if c.err != nil || c.status == 200 {
				want = []token.Ref{c.asked}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: asked for (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestLongAnswersHaveALength: net/http would send them in chunks.
func TestLongAnswersHaveALength(t *testing.T) {
	f := serve(t, &engine{})
	f.engine.decision = token.Decision{Verdict: token.Allow, Body: []byte(`{"active":true,"x":"` + strings.Repeat("x", 100<<10) + `"}`)}
	resp, body := f.do(t, http.MethodPost, path, "token=t", basic("shop.orders", "s3cret"))
	if got := resp.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) || len(body) < 100<<10 {
		t.Errorf("Content-Length %q for %d bytes", got, len(body))
	}
}
