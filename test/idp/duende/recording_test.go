// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"
)

// exchange is one of the recording.
type exchange struct {
	Name    string `json:"name"`
	Request struct {
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Headers map[string]string `json:"headers"`
		Basic   string            `json:"basic"`
		Body    string            `json:"body"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    any               `json:"body"`
	} `json:"response"`
}

func recording(t *testing.T) []exchange {
	t.Helper()
	file, err := os.ReadFile("testdata/exchanges.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Exchanges []exchange `json:"exchanges"`
	}
	if err := json.Unmarshal(file, &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded.Exchanges) != 138 {
		t.Fatalf("the recording has %d exchanges, want 138", len(recorded.Exchanges))
	}
	return recorded.Exchanges
}

// born is when each token was made, by what introspection said of it.
func born(exchanges []exchange) map[string]int64 {
	times := map[string]int64{}
	for _, e := range exchanges {
		body, _ := e.Response.Body.(map[string]any)
		form, _ := url.ParseQuery(e.Request.Body)
		iat, ok := body["iat"].(float64)
		if name := form.Get("token"); ok && strings.HasPrefix(name, "{{") {
			times[name] = int64(iat)
		}
	}
	return times
}

// plain is an answer with a mark in place of what is chosen at random: that it is a text, no more.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for member, value := range v {
			switch member {
			case "access_token", "refresh_token", "jti", "jkt", "kid", "n":
				text, ok := value.(string)
				out[member] = ok && text != ""
			default:
				out[member] = plain(value)
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, plain(item))
		}
		return out
	default:
		return v
	}
}
