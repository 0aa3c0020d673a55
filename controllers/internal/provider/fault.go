// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// complaint is the body of an error: OAuth's (RFC 6749 section 5.2), or errorMessage of Keycloak's Admin API.
type complaint struct {
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
	ErrorMessage     string `json:"errorMessage"`
}

func (a *Answer) complaint() (c complaint, ok bool) {
	return c, json.Unmarshal(a.Body, &c) == nil
}

// Word is the answer's error code, empty if there is none. It may be asked of no answer at all.
func (a *Answer) Word() string {
	if a == nil {
		return ""
	}
	c, _ := a.complaint()
	return c.Error
}

// IsJSON says that the answer is a JSON object, and so the server's own and no proxy's page.
func (a *Answer) IsJSON() bool {
	_, ok := a.complaint()
	return ok
}

// Fault makes an error of an answer that is none of 2xx. It says of a 404 no more than that: what is absent
// is the dialect's to know.
func (a *Answer) Fault(secrets ...Secret) *Error {
	e := &Error{Op: a.Op, Status: a.Status, RetryAfter: a.RetryAfter}
	said, ok := a.complaint()
	if ok {
		e.Detail = Clean(said.words(), secrets...)
	}
	switch {
	case a.Status == http.StatusUnauthorized:
		e.Kind = KindCredentials
	case a.Status == http.StatusForbidden:
		e.Kind = KindForbidden
	case a.Status == http.StatusTooManyRequests, a.Status == http.StatusServiceUnavailable && a.RetryAfter > 0:
		e.Kind = KindRateLimited
	case a.Status < http.StatusBadRequest:
		e.Err = errors.New("a redirect, which is not followed")
	case a.Status >= http.StatusInternalServerError, a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly:
		e.Kind = KindServer
	case !ok:
		e.Err = errors.New("no word of the registration endpoint: is that its address?")
	case a.Status == http.StatusNotFound:
		e.Kind = KindNotFound
	case a.Status == http.StatusConflict:
		e.Kind = KindConflict
	default:
		e.Kind = KindInvalid
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

// Nonsense is the error of an answer that should be JSON of a known shape.
func (a *Answer) Nonsense() *Error {
	return &Error{Kind: KindServer, Op: a.Op, Status: a.Status, Err: errors.New("the answer is cut off or no JSON")}
}

// Meanwhile is the error when a thing vanished between two calls: look again.
func (a *Answer) Meanwhile() *Error {
	e := Meanwhile(a.Op)
	e.Status = a.Status
	return e
}

// Meanwhile is the error when what must be there is not, by what a look has just said.
func Meanwhile(op string) *Error {
	return &Error{Kind: KindServer, Op: op, Err: errors.New("it was deleted meanwhile")}
}

// IsResource says that clients can ask for a name with resource= (RFC 8707 section 2): an absolute URI
// without a fragment.
func IsResource(name string) bool {
	u, err := url.Parse(name)
	return err == nil && u.IsAbs() && u.Fragment == ""
}

// Owns says whether a mark that was found is the owner's.
func Owns(owner, mark string) bool { return owner != "" && owner == mark }
