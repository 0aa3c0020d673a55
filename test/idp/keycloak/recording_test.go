// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// exchange is one of the recording.
type exchange struct {
	Name        string            `json:"name"`
	Before      string            `json:"before"`
	Method      string            `json:"method"`
	Path        string            `json:"path"`
	Headers     map[string]string `json:"headers"`
	Basic       string            `json:"basic"`
	Raw         bool              `json:"raw"`
	Body        string            `json:"body"`
	Status      int               `json:"status"`
	Location    string            `json:"location"`
	ContentType string            `json:"contentType"`
	AnyBody     bool              `json:"anyBody"`
	Answer      any               `json:"answer"`
}

// recorded is how many exchanges the recording had.
const recorded = 308

// leftOut are those of the recording that are not in testdata, and why.
func leftOut() map[string]string {
	const (
		dpop        = "binding to a key (RFC 9449) is not here"
		lightweight = "it is a setting of the client that got the token, which is not here"
		short       = "it is a setting of the client that got the token, which is not here"
	)
	return map[string]string{
		"discovery/jwks":                                    "the keys of the recorded server, which are another kind than here",
		"create/no clientId":                                "the id that stands for the name would be in lists of others, at another place each time",
		"create/attribute of 5000 characters":               "its body was cut in the recording",
		"audience/evaluate-scopes: an example token":        "example tokens are not here",
		"introspection/alg none":                            "made of a token of the recorded server, which is another one here",
		"introspection/60 kB":                               "its body was cut in the recording",
		"token/dpop":                                        dpop,
		"dpop/a DPoP-bound token":                           dpop,
		"token/lightweight":                                 lightweight,
		"lightweight/a lightweight token":                   lightweight,
		"lightweight/lightweight.claim off":                 lightweight,
		"token/lightweight-no-aud":                          lightweight,
		"lightweight/a lightweight token without aud in it": lightweight,
		"token/short":                                       short,
		"revocation/while it lives":                         short,
		"revocation/at its end":                             short,
	}
}

// partly are exchanges whose answer lists what the recorded server had, or was cut: what is in both is compared.
var partly = []string{"create/a page of clients", "audience/list"}

// shared is what two lists of objects have in common: the objects of one name, and the members that both have.
func shared(t *testing.T, path string, want, got any) (any, any) {
	t.Helper()
	recordedList, ok := want.([]any)
	gotList, gotOK := got.([]any)
	if !ok || !gotOK {
		t.Fatalf("no lists: %T, %T", want, got)
	}
	if most := pageSize(path); most > 0 && len(gotList) != most {
		t.Errorf("a page of %d has %d", most, len(gotList))
	}
	var wants, gots []any
	for _, w := range recordedList {
		for _, g := range gotList {
			if name := nameOf(w); name != "" && name == nameOf(g) {
				w, g := inBoth(w, g)
				wants, gots = append(wants, w), append(gots, g)
			}
		}
	}
	if len(wants) == 0 {
		t.Fatalf("nothing of the recorded list is here: %v", gotList)
	}
	return wants, gots
}

// pageSize is what the query of a path asks for, 0 for all.
func pageSize(path string) int {
	_, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0
	}
	most, err := strconv.Atoi(values.Get("max"))
	if err != nil {
		return 0
	}
	return most
}

// nameOf is what an object of the Admin API is known by.
func nameOf(v any) string {
	object, _ := v.(map[string]any)
	if id, ok := object["clientId"].(string); ok {
		return id
	}
	name, _ := object["name"].(string)
	return name
}

// inBoth leaves of two objects the members that both have.
func inBoth(a, b any) (any, any) {
	one, ok := a.(map[string]any)
	other, otherOK := b.(map[string]any)
	if !ok || !otherOK {
		return a, b
	}
	left, right := map[string]any{}, map[string]any{}
	for member, value := range one {
		if here, ok := other[member]; ok && member != "id" {
			left[member], right[member] = inBoth(value, here)
		}
	}
	return left, right
}

// common is the members of a that b has too.
func common(a, b any) any {
	in, _ := a.(map[string]any)
	of, _ := b.(map[string]any)
	out := map[string]any{}
	for member, value := range in {
		if _, ok := of[member]; ok {
			out[member] = value
		}
	}
	return out
}
