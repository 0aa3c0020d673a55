// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
)

// maxProblems bounds a condition's message.
const maxProblems = 20

// problems are what is wrong with a spec, each with its field.
type problems []string

func (w *problems) add(path, format string, args ...any) {
	*w = append(*w, path+" "+fmt.Sprintf(format, args...))
}

func (w *problems) err() error {
	switch n := len(*w); {
	case n == 0:
		return nil
	case n > maxProblems:
		return fmt.Errorf("%s; and %d more", strings.Join((*w)[:maxProblems], "; "), n-maxProblems)
	}
	return errors.New(strings.Join(*w, "; "))
}

// index is a path to an element of a list.
func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// quoted is a value of the object, cut.
func quoted(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}

// values are a copy of a list that must not be empty. check says what is wrong with one.
func (w *problems) values(path string, all []string, most int, check func(string) string) []string {
	switch n := len(all); {
	case n == 0:
		w.add(path, "is empty: it would refuse every token; name a value, or leave out the requirement")
	case n > most:
		w.add(path, "has %d values: %d are possible", n, most)
	}
	for i, value := range all {
		if problem := check(value); problem != "" {
			w.add(index(path, i), "%s", problem)
		}
		if utf8.RuneCountInString(value) > maxValue {
			w.add(index(path, i), "is longer than %d characters", maxValue)
		}
	}
	return slices.Clone(all)
}

// option is a choice of two; yes is false for the empty value.
func (w *problems) option(path, value, no, yes string) bool {
	if value != "" && value != no && value != yes {
		w.add(path, "is %s: known are %s and %s", quoted(value), no, yes)
	}
	return value == yes
}

func notEmpty(s string) string {
	if s == "" {
		return "is empty: give it a value"
	}
	return ""
}

// scopeToken is RFC 6749 section 3.3.
func scopeToken(s string) string {
	if problem := printable(s); problem != "" {
		return problem + ": list each scope by itself"
	}
	return ""
}

// printable may stand in a challenge's list: visible ASCII without quote and backslash.
func printable(s string) string {
	if s == "" {
		return "is empty: give it a value"
	}
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return fmt.Sprintf("is %s: use visible ASCII characters only, no space, quote or backslash", quoted(s))
		}
	}
	return ""
}

func (w *problems) claim(path string, name v1alpha1.ClaimName) {
	if name == "" || len(name) > maxClaimName {
		w.add(path, "has %d characters: name a top-level claim, of 1 to %d", len(name), maxClaimName)
		return
	}
	for _, c := range []byte(name) {
		if c < 0x21 || c > 0x7e {
			w.add(path, "is %s: a claim's name has visible ASCII characters only", quoted(string(name)))
			return
		}
	}
}

// headerName takes letters, digits and hyphens: what is folded into these by upstreams
// would have aliases. name is canonical.
func (w *problems) headerName(path, name string) {
	if name == "" || len(name) > maxHeaderName {
		w.add(path, "has %d characters: name a header, of 1 to %d", len(name), maxHeaderName)
		return
	}
	for i, c := range []byte(name) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			w.add(path, "is %s: use letters, digits and hyphens, a letter first", quoted(name))
			return
		}
	}
	if hasOwnMeaning(name) {
		w.add(path, "is %s, which has a meaning of its own: name one of yours, such as X-Auth-Subject", name)
	}
}

// hasOwnMeaning keeps a policy from steering gateways, connections and our own answers.
func hasOwnMeaning(name string) bool {
	switch name := strings.ToLower(name); name {
	case "host", "authorization", "proxy-authorization", "proxy-authenticate", "proxy-connection", "www-authenticate",
		"cookie", "set-cookie", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
		"content-length", "content-type", "content-encoding", "date", "location", "retry-after", "cache-control",
		"introspection-decision", "forwarded", "x-original-url", "x-original-method", "x-real-ip", "dpop", "expect", "x-sendfile", "content-range", "vary", "via", "server":
		return true
	default:
		return strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-accel-") // nginx obeys the latter
	}
}

// duration is within bounds, or the default if it is not given.
func (w *problems) duration(path string, d *metav1.Duration, byDefault, least, most time.Duration) time.Duration {
	switch {
	case d == nil:
		return byDefault
	case d.Duration < least || d.Duration > most:
		w.add(path, "is %s: it must be between %s and %s", d.Duration, least, most)
	}
	return d.Duration
}

func (w *problems) tokenTypes(path string, types []v1alpha1.TokenType) typeSet {
	if len(types) == 0 {
		return typeSet{accessToken: true}
	}
	var set typeSet
	for i, t := range types {
		switch t {
		case v1alpha1.AccessTokenType:
			set[accessToken] = true
		case v1alpha1.IDTokenType:
			set[idToken] = true
		case v1alpha1.RefreshTokenType:
			set[refreshToken] = true
		default:
			w.add(index(path, i), "is %s: known are AccessToken, IDToken and RefreshToken", quoted(string(t)))
		}
	}
	return set
}
