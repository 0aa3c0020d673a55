// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	tree = "../.."
	page = tree + "/docs/security-tests.md"
)

// rows are what the page has to have: the standards that we hold ourselves to, and the
// incidents that this class of software had.
func rows() []string {
	return []string{
		"RFC 7662 section 2.1", "RFC 7662 section 2.2", "RFC 7662 section 2.3", "RFC 7662 section 4", "RFC 9701", "RFC 6750", "RFC 9068", "RFC 8705",
		"RFC 9449", "RFC 8707", "RFC 9700", "RFC 9470", "RFC 9728", "RFC 8414", "TokenReview",

		"CVE-2021-32701", "heimdall #3452", "CVE-2026-33496", "our own review", "GHSA-84rm-mhfq-f476", "lua-resty-openidc #399", "CVE-2026-37979",
		"CVE-2026-58425", "CVE-2026-8922", "CVE-2026-3583", "CVE-2026-68481", "CVE-2026-44087", "CVE-2026-88011", "Traefik's alias family",
		"CVE-2026-40575", "CVE-2026-76835", "CVE-2026-33494", "GHSA-w9mr-28mw-j8hg", "CVE-2023-27488", "CVE-2026-33186", "CVE-2026-50197",
		"CVE-2025-27144", "CVE-2025-30204", "CVE-2025-22868", "CVE-2026-53719", "authorino #649", "authorino #652", "hydra-client-go #8",
		"CVE-2026-8715", "CVE-2026-22822", "CVE-2026-34984", "CVE-2026-42875", "CVE-2024-12401", "CVE-2020-1731", "CVE-2024-31391", "CVE-2023-2878",
		"CVE-2025-7445", "CVE-2025-1974", "the confused deputy", "agentgateway #3064", "envoy #36122", "envoy #43398", "Envoy, measured",
		"GHSA-7r4p-vjf4-gxv4", "keycloak #50490", "CVE-2026-3121",
	}
}

// sources are the tests of each directory, as text.
func sources(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, top := range []string{"api", "controllers", "webhook", "test"} {
		err := filepath.WalkDir(filepath.Join(tree, top), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			directory, _ := filepath.Rel(tree, filepath.Dir(path))
			all[filepath.ToSlash(directory)] += string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// missing says what is wrong with a page, by the tests that there are.
func missing(content string, tests map[string]string) []string {
	var wrong []string
	cells := map[string]string{}
	for line := range strings.Lines(content) {
		if columns := strings.Split(line, " | "); len(columns) == 3 && strings.HasPrefix(line, "| ") {
			cells[columns[0]] = columns[1]
		}
	}
	for _, row := range rows() {
		found := false
		for name, named := range cells {
			found = found || strings.Contains(name, row) && strings.Contains(named, ".Test")
		}
		if !found {
			wrong = append(wrong, "no row with a test for "+row)
		}
	}
	return append(wrong, noSuchTests(content, tests)...)
}

// noSuchTests are the tests that a page names and that there are not.
func noSuchTests(content string, tests map[string]string) []string {
	var wrong []string
	reference := regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9_]+)(?:/([^`]+))?`")
	for _, found := range reference.FindAllStringSubmatch(content, -1) {
		text := tests[found[1]]
		function := strings.Index(text, "\nfunc "+found[2]+"(")
		if function < 0 || found[3] != "" && !strings.Contains(text, `"`+found[3]+`"`) {
			wrong = append(wrong, "no test "+found[0])
		}
	}
	return wrong
}

// TestPagesNameTestsThatExist: what a page of the documentation says that a test shows.
func TestPagesNameTestsThatExist(t *testing.T) {
	tests := sources(t)
	for name, atLeast := range map[string]int{"tenancy.md": 15} {
		content, err := os.ReadFile(tree + "/docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range noSuchTests(string(content), tests) {
			t.Errorf("%s: %s", name, wrong)
		}
		if n := strings.Count(string(content), ".Test"); n < atLeast {
			t.Errorf("%s names %d tests, and needs %d: is it read as it should be?", name, n, atLeast)
		}
	}
}

// TestDesign6: each standard and each incident has its tests, and those exist.
func TestDesign6(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	tests := sources(t)
	for _, wrong := range missing(string(content), tests) {
		t.Error(wrong)
	}
	for name, broken := range map[string]string{
		"a row less":         strings.Replace(string(content), "authorino #652", "authorino #65", 1),
		"a test that is not": strings.Replace(string(content), "TestGHSA84rm`", "TestGHSA84rn`", 1),
		"a case that is not": strings.Replace(string(content), "/alg none`", "/alg nobody`", 1),
		"a row without":      strings.Replace(string(content), "`controllers/internal/credential.TestSecretsAreLongAndNeverTheSame`", "a later issue", 1),
	} {
		if broken == string(content) || len(missing(broken, tests)) != 1 {
			t.Errorf("%s is not found: %v", name, missing(broken, tests))
		}
	}
}

// TestTrustNamesItsTests: the page for those who decide is short, and each of its claims has tests.
func TestTrustNamesItsTests(t *testing.T) {
	content, err := os.ReadFile(tree + "/docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(content), "\n"); lines > 60 {
		t.Errorf("it has %d lines, and was to be read", lines)
	}
	tests, claims := sources(t), 0
	for line := range strings.Lines(string(content)) {
		if columns := strings.Split(line, " | "); len(columns) == 3 && !strings.Contains(line, "shown by") {
			if claims++; !strings.Contains(columns[2], ".Test") {
				t.Errorf("no test shows: %s", columns[0])
			}
		}
	}
	if claims < 10 {
		t.Errorf("%d claims: the table is read wrong", claims)
	}
	for _, wrong := range noSuchTests(string(content), tests) {
		t.Error(wrong)
	}
	if broken := strings.Replace(string(content), "TestWriteIsFenced", "TestWriteIsFences", 1); len(noSuchTests(broken, tests)) != 1 {
		t.Error("a test that is not is not found")
	}
}
