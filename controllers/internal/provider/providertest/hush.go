// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// hush knows every secret that went over the wire, or could: no error may show one. It forgets those of
// the rows before.
type hush struct {
	mu     sync.Mutex
	values map[string]string // what it is, by value
}

// forget is for the start of something that knows nothing of what was before.
func (h *hush) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values = nil
}

// minSecret keeps words that may stand in any error from being taken for a secret.
const minSecret = 8

func (h *hush) add(what, value string) {
	if len(value) < minSecret {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.values == nil {
		h.values = map[string]string{}
	}
	h.values[value] = what
}

func (h *hush) signIn(s provider.SignIn) {
	h.add("the operator's secret", s.Secret.Reveal())
	h.add("the initial access token", s.InitialAccessToken.Reveal())
}

func (h *hush) desired(d provider.Desired) {
	for _, c := range d.Credentials.All() {
		h.add("a client's secret", c.Secret.Reveal())
	}
	h.add("the provider's state", d.State.Reveal())
}

// exchange learns from a request, and from the answer to it.
func (h *hush) exchange(req *http.Request, sent, answer []byte) {
	scheme, value, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	h.add("a header of authorization", value)
	if raw, err := base64.StdEncoding.DecodeString(value); err == nil && scheme == "Basic" {
		h.add("a header of authorization", string(raw))
	}
	if form, err := url.ParseQuery(string(sent)); err == nil {
		h.add("an assertion", form.Get("client_assertion"))
		h.add("a secret", form.Get("client_secret"))
	}
	var got map[string]any
	if json.Unmarshal(answer, &got) != nil {
		return
	}
	for _, member := range []string{"access_token", "refresh_token", "client_secret", "registration_access_token", "secret"} {
		if value, ok := got[member].(string); ok {
			h.add("the answer's "+member, value)
		}
	}
}

// shown is what an error shows of the secrets, empty if that is nothing.
func (h *hush) shown(err error) string {
	text := strings.Join(wordings(err), "\n")
	h.mu.Lock()
	defer h.mu.Unlock()
	for value, what := range h.values {
		for _, form := range []string{value, url.QueryEscape(value), quoted(value)} {
			if strings.Contains(text, form) {
				return what
			}
		}
	}
	return ""
}

func quoted(value string) string {
	return strings.Trim(fmt.Sprintf("%q", value), `"`)
}

// wordings are all the ways an error, and each one in its chain, can be printed.
func wordings(err error) []string {
	if err == nil {
		return nil
	}
	texts := []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)}
	if e, ok := errors.AsType[*provider.Error](err); ok {
		texts = append(texts, e.Subject, e.Detail, e.Advice, e.Op)
	}
	switch e := err.(type) { //nolint:errorlint // it walks the chain itself
	case interface{ Unwrap() error }:
		texts = append(texts, wordings(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			texts = append(texts, wordings(inner)...)
		}
	}
	return texts
}

// checked holds an error to what every error promises, and returns it; in place of one that shows a secret,
// which the test's own output must not, one that does not.
func (s *suite) checked(t *testing.T, c *Caller, err error) error {
	t.Helper()
	if err == nil {
		return nil
	}
	s.hush.desired(c.Desired())
	e, ours := errors.AsType[*provider.Error](err)
	if what := s.hush.shown(err); what != "" {
		t.Errorf("an error shows %s", what)
		masked := &provider.Error{Op: "[an error that shows a secret]"}
		if ours {
			masked.Kind, masked.RetryAfter = e.Kind, e.RetryAfter
		}
		return masked
	}
	if !ours && !errors.Is(err, errHand) && !errors.Is(err, errStale) {
		t.Errorf("%v: it is no *Error, and not the caller's", err)
	}
	return err
}
