// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Kind classifies an error by what the caller can do about it.
type Kind int

const (
	// KindServer means: the server is in trouble or answered nonsense; try again. The zero value: what is
	// not understood is never taken for an answer.
	KindServer Kind = iota
	// KindUnreachable means: no answer arrived; try again.
	KindUnreachable
	// KindCredentials means: the operator's sign-in was refused.
	KindCredentials
	// KindForbidden means: signed in, but without the right.
	KindForbidden
	// KindNotFound means: the realm, or a thing that must be there, is not.
	KindNotFound
	// KindTokenClientNotFound means: a token client does not exist; Subject names it.
	KindTokenClientNotFound
	// KindTooManyAudiences means: a token client carries as many audiences as the cap; Subject names it.
	KindTooManyAudiences
	// KindConflict means: the registration exists and is not ours; Subject is its owner mark, if any.
	KindConflict
	// KindInvalid means: the server refuses what was sent; Detail says why.
	KindInvalid
	// KindRateLimited means: wait for RetryAfter.
	KindRateLimited
	// KindAmbiguous means: the answer to a creation was lost, and nobody can look whether it was done.
	// Subject is the Attempt.
	KindAmbiguous
	// KindAccessLost means: the registration is there, and the server no longer takes what gave us access to it.
	KindAccessLost
	// KindUnsupported means: servers of this kind, or this one, can't do it; Err says what and why.
	KindUnsupported
	// KindNotAdoptable means: the registration may not be taken over; Subject names what stands against it.
	KindNotAdoptable
)

// Error is what every method of a provider returns.
type Error struct {
	Kind Kind
	// Op is what was attempted, for example "create client".
	Op string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Subject is what the error is about, see Kind.
	Subject string
	// Detail is the server's own word (error, error_description or errorMessage), cleaned by Clean.
	Detail string
	// RetryAfter is how long the server asked to wait, at most MaxRetryAfter.
	RetryAfter time.Duration
	// Advice is what to do about it, as a sentence, where the dialect knows better than the kind says.
	Advice string
	// Err is the cause, if there is one. It never holds a request's body or header.
	Err error
}

// MaxRetryAfter caps how long a server can make us wait.
const MaxRetryAfter = 5 * time.Minute

// Error says what was attempted and what came of it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": the server answered %d", e.Status)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, " (%s)", e.Detail)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the *Error in err's chain, and whether there is one.
func KindOf(err error) (Kind, bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind, true
	}
	return KindServer, false
}

// maxDetail bounds what of a server's words may reach a status.
const maxDetail = 256

// Clean makes a server's words fit for a status: secrets masked, in whichever
// form they were sent; printable characters only, at most 256 of them.
func Clean(words string, secrets ...Secret) string {
	for _, s := range secrets {
		if s == "" {
			continue
		}
		for _, form := range []string{s.Reveal(), url.QueryEscape(s.Reveal()), inJSON(s)} {
			words = strings.ReplaceAll(words, form, "[secret]")
		}
	}
	words = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, words)
	if runes := []rune(words); len(runes) > maxDetail {
		words = string(runes[:maxDetail-1]) + "…"
	}
	return words
}

// inJSON is the secret as it stands between the quotes of a JSON string.
func inJSON(s Secret) string {
	encoded, err := json.Marshal(s.Reveal())
	if err != nil {
		return s.Reveal()
	}
	return string(encoded[1 : len(encoded)-1])
}
