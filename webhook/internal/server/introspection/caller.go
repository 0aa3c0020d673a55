// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// credentials that a caller shows.
type credentials struct{ id, secret string }

// proved is who calls: an IntrospectionClient or a ServiceAccount.
type proved struct{ client, account token.Ref }

// stranger is what one is told that is nothing to the policy.
func (p proved) stranger() *problem {
	if p.account != (token.Ref{}) {
		return unlisted()
	}
	return unauthenticated()
}

// caller proves who calls: by HTTP Basic, by client_id and client_secret in the body
// (RFC 6749 section 2.3.1), by both if they are equal, or by a ServiceAccount token. Right
// credentials always pass, however many wrong ones came from the same place: secrets have
// 256 bits, so that guessing is hopeless, and a stranger must not be able to lock a client
// out. Those who fail too often get 429 and are kept out of the log.
func (h *Handler) caller(r *http.Request, f *form, policy token.Ref) (proved, *problem, *token.Undecided) {
	if !h.ready() {
		return proved{}, nil, token.NotStarted()
	}
	authorization := r.Header["Authorization"]
	if len(authorization) == 1 && isBearer(authorization[0]) {
		return h.serviceAccount(r, f, policy)
	}
	shown, problem := shown(authorization, f)
	if problem != nil {
		return proved{}, problem, nil
	}
	// All are tried, whatever matched before: the time says nothing.
	var who proved
	for _, c := range shown {
		if found, ok := h.authenticate(r.Context(), policy, c.id, c.secret); ok && who == (proved{}) {
			who.client = found
		}
	}
	if who != (proved{}) {
		return who, nil, nil
	}
	id := ""
	if len(shown) > 0 {
		id = shown[0].id
	}
	problem = unauthenticated()
	if !h.failures.allow(r.RemoteAddr, id) {
		problem = problem.throttled()
	}
	return proved{}, problem, nil
}

func isBearer(header string) bool {
	scheme, _, _ := strings.Cut(header, " ")
	return strings.EqualFold(scheme, "Bearer")
}

// serviceAccount proves a caller by its token, whose audience is exactly this policy's
// URL: one that was made for another policy, or for the API server, is not for us to see.
func (h *Handler) serviceAccount(r *http.Request, f *form, policy token.Ref) (proved, *problem, *token.Undecided) {
	if f.hasSecret {
		return proved{}, malformed("There are a ServiceAccount token and a client_secret: send one."), nil
	}
	shown, _, wrong := server.Presented(r.Header["Authorization"])
	if wrong == "" && h.account != nil {
		account, err := h.account(r.Context(), shown, h.url+"/"+Path+"/"+policy.String())
		if err == nil && account != (token.Ref{}) {
			return proved{account: account}, nil, nil
		}
		if u, ok := errors.AsType[*token.Undecided](err); ok {
			return proved{}, nil, u
		}
	}
	problem := unlisted()
	if !h.failures.allow(r.RemoteAddr, "") {
		problem = problem.throttled()
	}
	return proved{}, problem, nil
}

// shown are the credentials that a request may mean, at most two: clients put them into
// Basic form-encoded, as RFC 6749 has it, or raw. None if there are none that hold
// together.
func shown(authorization []string, f *form) ([]credentials, *problem) {
	body := credentials{id: f.clientID, secret: f.clientSecret}
	switch len(authorization) {
	case 0:
		if !f.hasID || !f.hasSecret {
			return nil, nil
		}
		return []credentials{body}, nil
	case 1:
	default:
		return nil, malformed("There are two Authorization headers.")
	}
	all := basic(authorization[0])
	if !f.hasID && !f.hasSecret {
		return all, nil
	}
	var equal []credentials
	for _, c := range all {
		if (!f.hasID || c.id == body.id) && (!f.hasSecret || c.secret == body.secret) {
			equal = append(equal, c)
		}
	}
	return equal, nil
}

// basic reads an Authorization header (RFC 7617): form-decoded first, then as it is.
func basic(header string) []credentials {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return nil
	}
	id, secret, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return nil
	}
	raw := credentials{id: id, secret: secret}
	formID, err := url.QueryUnescape(id)
	if err != nil {
		return []credentials{raw}
	}
	formSecret, err := url.QueryUnescape(secret)
	if err != nil {
		return []credentials{raw}
	}
	if form := (credentials{id: formID, secret: formSecret}); form != raw {
		return []credentials{form, raw}
	}
	return []credentials{raw}
}
