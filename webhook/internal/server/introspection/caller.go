// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// credentials that a caller shows.
type credentials struct{ id, secret string }

// caller proves who calls: by HTTP Basic, by client_id and client_secret in the body
// (RFC 6749 section 2.3.1), or by both if they are equal. Right credentials always pass,
// however many wrong ones came from the same place: secrets have 256 bits, so that
// guessing is hopeless, and a stranger must not be able to lock a client out. Those who
// fail too often get 429 and are kept out of the log.
func (h *Handler) caller(r *http.Request, f *form, policy token.Ref) (token.Ref, *problem) {
	shown, problem := shown(r.Header["Authorization"], f)
	if problem != nil {
		return token.Ref{}, problem
	}
	// All are tried, whatever matched before: the time says nothing.
	var (
		client token.Ref
		proved bool
	)
	for _, c := range shown {
		if found, ok := h.authenticate(policy, c.id, c.secret); ok && !proved {
			client, proved = found, true
		}
	}
	if proved {
		return client, nil
	}
	id := ""
	if len(shown) > 0 {
		id = shown[0].id
	}
	if !h.failures.allow(r.RemoteAddr, id) {
		return token.Ref{}, throttled()
	}
	return token.Ref{}, unauthenticated()
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
