// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"errors"
	"net/url"
	"strings"
)

const (
	paramToken        = "token"
	paramClientID     = "client_id"
	paramClientSecret = "client_secret"
)

// form is what we read of a body (RFC 7662 section 2.1). token_type_hint is not: it only
// tells where to search first.
type form struct {
	tokens           int
	raw              string
	clientID         string
	clientSecret     string
	hasID, hasSecret bool
}

// parseForm is strict: a body that two parsers may read differently is refused. A
// parameter stands at most once (RFC 6749 section 3.1); tokens are counted, since that
// is told to callers that proved who they are.
func parseForm(body string) (form, error) {
	var f form
	for rest := body; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		if strings.IndexByte(pair, ';') >= 0 { // once a separator (HTML 4)
			return form{}, errors.New("a semicolon is not encoded")
		}
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil {
			return form{}, err
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return form{}, err
		}
		switch {
		case key == paramToken:
			f.tokens++
			f.raw = value
		case key == paramClientID && !f.hasID:
			f.hasID, f.clientID = true, value
		case key == paramClientSecret && !f.hasSecret:
			f.hasSecret, f.clientSecret = true, value
		case key == paramClientID, key == paramClientSecret:
			return form{}, errors.New("a credential stands twice")
		}
	}
	return f, nil
}

// token is the one in the form.
func (f *form) token() (string, *problem) {
	switch {
	case f.tokens == 0:
		return "", malformed("The parameter token is missing.")
	case f.tokens > 1:
		return "", malformed("The parameter token stands twice.")
	case f.raw == "":
		return "", malformed("The parameter token is empty.")
	}
	return f.raw, nil
}
