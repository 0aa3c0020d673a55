// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	tree = "../.."
	page = tree + "/docs/reference/conditions.md"
)

// TestThePageIsTheCode also finds what the generator itself overlooks: it reads the sources another way.
func TestThePageIsTheCode(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var made bytes.Buffer
	if err := run(&made, filepath.Join(tree, apiDir), filepath.Join(tree, eventsFile)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made.String(), string(content)); diff != "" {
		t.Errorf("make generate was not run (-code +page):\n%s", diff)
	}
	before, after, _ := strings.Cut(string(content), "\n## Events\n")
	for what, tc := range map[string]struct {
		shown, row string
		sources    []string
		constant   string
	}{
		"conditions and reasons": {
			shown: before, row: "(?m)^\\| `(\\w+)` \\| [^|]{3,} \\| [^|]{3,} \\|$",
			sources: glob(t, filepath.Join(tree, apiDir, "*.go")), constant: `(?m)^\s*(?:const )?(?:Reason|Condition)\w+\s*= "(\w+)"`,
		},
		"events": {
			shown: firstCells(after), row: "`(\\w+)`",
			sources: []string{filepath.Join(tree, eventsFile)}, constant: `corev1\.EventType\w+, "(\w+)"`,
		},
	} {
		rows, want := matches(tc.row, tc.shown), []string(nil)
		for _, name := range tc.sources {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, matches(tc.constant, string(source))...)
		}
		slices.Sort(rows)
		slices.Sort(want)
		if what == "events" {
			want = slices.Compact(want) // some have several messages
		}
		if len(want) == 0 {
			t.Fatalf("no %s in the code: this test reads it wrong", what)
		}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("%s, each in one row with both texts (-code +page):\n%s", what, diff)
		}
	}
}

func TestEachCommentSaysWhatToDo(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, code, means, do, wrong string
	}{
		"whole":        {reason: "both parts are there", code: "// ReasonX: it broke.\n// Do: mend it.\nReasonX = \"X\"", means: "it broke", do: "mend it"},
		"references":   {reason: "what a comment refers to is named as users know it", code: "// ReasonX: as ReasonAb.\n// Do: see docs/operations.md#tasks.\nReasonX = \"X\"", means: "as `Ab`", do: "see [operations](../operations.md#tasks)"},
		"no remedy":    {reason: "a reason that says no remedy is half", code: "// ReasonX: it broke.\nReasonX = \"X\"", wrong: `ReasonX: its comment must be`},
		"no comment":   {reason: "nor one that says nothing", code: "ReasonX = \"X\"", wrong: `ReasonX: its comment must be`},
		"another name": {reason: "a comment that was copied explains something else", code: "// ReasonY: it broke.\n// Do: mend it.\nReasonX = \"X\"", wrong: `ReasonX: its comment must be`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a\n\n// Reasons.\nconst (\n"+tc.code+"\n)\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			groups, err := readConstants(dir)
			switch {
			case tc.wrong == "" && err != nil, tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)):
				t.Errorf("%s: %v", tc.reason, err)
			case tc.wrong == "":
				want := []group{{title: "Reasons", head: "reason", entries: []entry{{name: "X", means: tc.means, do: tc.do}}}}
				if diff := cmp.Diff(want, groups, cmp.AllowUnexported(group{}, entry{})); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names
}

// firstCells are what the rows that are whole are about.
func firstCells(table string) string {
	return strings.Join(matches(`(?m)^\| ([^|]+) \| (?:Normal|Warning) \| [^|]{3,} \| [^|]{3,} \|$`, table), "\n")
}

func matches(pattern, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}
