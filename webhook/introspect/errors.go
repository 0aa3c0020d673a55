// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ErrCredentialsRefused says that the server does not know us by the credential: 401,
// or 400 with the error invalid_client. It says nothing about the token.
var ErrCredentialsRefused = errors.New("the authorization server refuses the client's credentials")

// ErrUnsupportedToken says that the server knows us, and does not introspect tokens of this
// form: 400 with the error unsupported_token_type (the word of RFC 7009 section 2.2.1;
// node-oidc-provider says it of every JWT). It is no verdict, and no outage either.
var ErrUnsupportedToken = errors.New("the authorization server does not introspect tokens of this form")

// maxRetryAfter caps what a server may ask us to wait.
const maxRetryAfter = 5 * time.Minute

// Unavailable says that the server gave no verdict: nobody can tell whether the token
// is good. It is never to be taken for an inactive token, and never to be cached. Its
// text holds neither the token, nor a secret, nor a word of the server's answer.
type Unavailable struct { //nolint:errname // an outcome: introspect.Unavailable says what callers ask
	// Issuer of the server that was asked.
	Issuer string
	// Status of the answer; 0 if there was none.
	Status int
	// RetryAfter is how long the server asks us to wait, at most 5 minutes; 0 if it does not.
	RetryAfter time.Duration
	// Err is what was wrong; nil if the status says it.
	Err error
}

// Error names the server and what was wrong.
func (u *Unavailable) Error() string {
	var b strings.Builder
	b.WriteString("asking " + u.Issuer + " about a token")
	if u.Status != 0 {
		b.WriteString(": HTTP " + strconv.Itoa(u.Status))
	}
	if u.Err != nil {
		b.WriteString(": " + u.Err.Error())
	}
	return b.String()
}

// Unwrap is what was wrong.
func (u *Unavailable) Unwrap() error { return u.Err }

// errNotHTTP stands for an error that quotes what the peer sent: it might have sent our
// own request back.
var errNotHTTP = errors.New("the answer is not HTTP")

// transportError is an error of net/http without the peer's words.
func transportError(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // it repeats method and URL
	}
	for _, quoting := range []string{"malformed", "transport connection broken", "Location header"} {
		if strings.Contains(err.Error(), quoting) {
			return errNotHTTP
		}
	}
	return err
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3). A date is compared with the
// server's own Date: our clock may differ.
func retryAfter(header http.Header) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(at.Sub(date), 0), maxRetryAfter)
}
