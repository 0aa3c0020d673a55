// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The steps expect what the table says: the page must not say anything else.
func TestThePageHasTheTable(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "demo.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, line)
		}
	}
	if diff := cmp.Diff(differences(), strings.Join(rows, "")); diff != "" {
		t.Errorf("docs/demo.md has another table (-code +page):\n%s", diff)
	}
}

func TestServersAreChosenByName(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, server string
		want           says
		refused        bool
	}{
		"none":     {"the one that needs nothing but Go", "", embeddedSays(), false},
		"embedded": {"by its name too", "embedded", embeddedSays(), false},
		"keycloak": {"a choice", "keycloak", keycloakSays(), false},
		"duende":   {"a choice", "duende", duendeSays(), false},
		"another":  {"a slip of the pen must not run another story", "Keycloak", says{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDemo(newStory(io.Discard, false), "", t.TempDir(), true)
			err := d.useServer(tc.server)
			if (err != nil) != tc.refused {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, d.facts.says, cmp.AllowUnexported(says{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// Whoever starts nothing but the embedded server and the one that stands for Duende
// has all that the steps need.
func TestAliceGetsHerTokens(t *testing.T) {
	for _, name := range []string{serverEmbedded, serverDuende} {
		t.Run(name, func(t *testing.T) {
			d := newDemo(newStory(io.Discard, false), "", t.TempDir(), true)
			if err := d.useServer(name); err != nil {
				t.Fatal(err)
			}
			if err := d.writeCertificates(); err != nil {
				t.Fatal(err)
			}
			if err := d.server.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for k, ask := range d.facts.tokens {
				if ask.client == "" {
					continue
				}
				if err := d.signIn(t.Context(), "alice", k); err != nil {
					t.Errorf("token %d: %v", k, err)
				}
			}
			a, err := d.facts.end("alice").do(t.Context(), d.dir)
			if err != nil || a.status != d.facts.ended {
				t.Errorf("ending a token: %+v, %v", a, err)
			}
			// Down means that nobody answers, and up again with what it knew.
			if err := d.server.stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := d.signIn(t.Context(), "alice", goodToken); err == nil {
				t.Error("it answers after stop")
			}
			if err := d.server.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := d.signIn(t.Context(), "alice", goodToken); err != nil {
				t.Error(err)
			}
			if err := d.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSignInScriptMakesTheSameToken(t *testing.T) {
	d := newDemo(newStory(io.Discard, false), "", t.TempDir(), true)
	if err := d.useServer(serverEmbedded); err != nil {
		t.Fatal(err)
	}
	if err := d.writeCertificates(); err != nil {
		t.Fatal(err)
	}
	if err := d.server.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := d.write("sign-in.sh", d.signInScript()); err != nil {
		t.Fatal(err)
	}
	if out, err := d.shell(t.Context(), "sh sign-in.sh web orders.read"); err != nil {
		t.Fatal(err, out)
	}
	token, err := d.read("alice.token")
	if err != nil || token == "" {
		t.Fatalf("no token: %v", err)
	}
	header, err := d.read("alice.header")
	if want := "Authorization: Bearer " + token + "\n"; err != nil || header != want {
		t.Errorf("the header is %d bytes and not the token's %d: %v", len(header), len(want), err)
	}
}
