// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const (
	// noRealm is what the Admin API says of a realm that does not exist, and
	// noPath of a path that it does not have, below a wrong address for example.
	// Neither 404 must be taken for the absence of a client.
	noRealm = "Realm not found."
	noPath  = "Unable to find matching target resource method"
)

// complaint is the body of an error, of either endpoint.
type complaint struct {
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
	ErrorMessage     string `json:"errorMessage"`
}

func (a *answer) complaint() (c complaint, ok bool) {
	return c, json.Unmarshal(a.body, &c) == nil
}

// word is the error code, empty if there is none.
func (a *answer) word() string {
	c, _ := a.complaint()
	return c.Error
}

// absent reports whether the server said that the thing in the path is not
// there. A proxy's 404 says nothing about it, nor does that of a missing realm.
func (a *answer) absent() bool {
	if a == nil || a.status != http.StatusNotFound {
		return false
	}
	c, _ := a.complaint()
	return c.Error != "" && c.Error != noRealm && c.Error != noPath
}

// fault makes an error of an answer that is none of 2xx.
func (a *answer) fault(secrets ...provider.Secret) *provider.Error {
	e := &provider.Error{Op: a.op, Status: a.status, RetryAfter: a.retryAfter}
	said, ok := a.complaint()
	if ok {
		e.Detail = provider.Clean(said.words(), secrets...)
	}
	switch {
	case a.status == http.StatusUnauthorized:
		e.Kind = provider.KindCredentials
	case a.status == http.StatusForbidden:
		e.Kind = provider.KindForbidden
	case a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable && a.retryAfter > 0:
		e.Kind = provider.KindRateLimited
	case a.status < http.StatusBadRequest:
		e.Err = errors.New("a redirect, which is not followed")
	case a.status >= http.StatusInternalServerError, a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly:
		e.Kind = provider.KindServer
	case !ok:
		e.Err = errors.New("no word of Keycloak's Admin API: is that its address?")
	case a.status == http.StatusNotFound:
		e.Kind = provider.KindNotFound
	case a.status == http.StatusConflict:
		e.Kind = provider.KindConflict
	default:
		e.Kind = provider.KindInvalid
	}
	return e
}

func (c complaint) words() string {
	switch {
	case c.ErrorMessage != "":
		return c.ErrorMessage
	case c.ErrorDescription != "" && c.Error != "":
		return c.Error + ": " + c.ErrorDescription
	case c.ErrorDescription != "":
		return c.ErrorDescription
	default:
		return c.Error
	}
}

// nonsense is the error of an answer that should be JSON of a known shape.
func (a *answer) nonsense() *provider.Error {
	return &provider.Error{Kind: provider.KindServer, Op: a.op, Status: a.status, Err: errors.New("the answer is cut off or no JSON")}
}

// meanwhile is the error when a thing vanished between two calls: look again.
func (a *answer) meanwhile() *provider.Error {
	return &provider.Error{Kind: provider.KindServer, Op: a.op, Status: a.status, Err: errors.New("it was deleted meanwhile")}
}
