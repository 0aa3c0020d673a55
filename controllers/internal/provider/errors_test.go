// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func TestClean(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, words string
		secrets       []provider.Secret
		want          string
	}{
		"plain":       {"words stay", "Client x already exists", nil, "Client x already exists"},
		"secret":      {"a secret that the server repeats", "bad s3cr3t, s3cr3t", []provider.Secret{"s3cr3t"}, "bad [secret], [secret]"},
		"encoded":     {"a secret as it was sent in a form", "bad a%2Bb%3D", []provider.Secret{"a+b="}, "bad [secret]"},
		"JSON":        {"a secret as it was sent in JSON", `bad a\"b`, []provider.Secret{`a"b`}, "bad [secret]"},
		"no secret":   {"an empty secret masks nothing", "ok", []provider.Secret{""}, "ok"},
		"control":     {"no escape reaches a terminal", "a\x1b[31mb\nc\u202e", nil, "a [31mb c "},
		"invalid":     {"broken UTF-8", "a\xffb", nil, "a\ufffdb"},
		"long":        {"bounded", strings.Repeat("ü", 400), nil, strings.Repeat("ü", 255) + "…"},
		"cut secrets": {"masked before it is cut", strings.Repeat("x", 250) + "s3cr3t-of-many-words", []provider.Secret{"s3cr3t-of-many-words"}, strings.Repeat("x", 250) + "[secr…"},
	} {
		t.Run(name, func(t *testing.T) {
			got := provider.Clean(tc.words, tc.secrets...)
			if want := strings.ToValidUTF8(tc.want, "\ufffd"); got != want {
				t.Errorf("%s: %q, want %q", tc.reason, got, want)
			}
			if n := utf8.RuneCountInString(got); n > 256 {
				t.Errorf("%d characters", n)
			}
		})
	}
}

func TestSecretNeverPrints(t *testing.T) {
	const secret = provider.Secret("s3cr3t")
	previous := provider.Credential{Secret: secret}
	d := provider.Desired{
		Identity:    provider.Identity{State: secret},
		Credentials: provider.Credentials{Current: provider.Credential{Secret: secret}, Previous: &previous},
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "desired", d)
	encoded, err := json.Marshal(map[string]provider.Secret{"secret": d.Credentials.Current.Secret})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%v %s %q %+v %#v", secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v %#v", d, d, d), fmt.Sprintf("%+v", provider.Issued{Secret: secret, State: secret}), fmt.Sprintf("%+v", provider.SignIn{Secret: secret, InitialAccessToken: secret}), log.String(), string(encoded),
	} {
		if strings.Contains(text, "s3cr3t") {
			t.Errorf("printed: %s", text)
		}
	}
	if secret.Reveal() != "s3cr3t" {
		t.Error("Reveal does not")
	}
}

func TestError(t *testing.T) {
	cause := errors.New("the cause")
	err := fmt.Errorf("wrapped: %w", &provider.Error{Kind: provider.KindInvalid, Op: "create client", Status: 400, Detail: "no", Err: cause})
	if got, want := err.Error(), "wrapped: create client: the server answered 400 (no): the cause"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if kind, ok := provider.KindOf(err); !ok || kind != provider.KindInvalid || !errors.Is(err, cause) {
		t.Errorf("kind %d, %v", kind, ok)
	}
	if kind, ok := provider.KindOf(cause); ok || kind != provider.KindServer {
		t.Errorf("kind %d, %v", kind, ok)
	}
}
