// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package all_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/all"
)

// TestDialects: every package beside this one that has a Dialect is in the list, under its own name.
func TestDialects(t *testing.T) {
	var want []string
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	dialect := regexp.MustCompile(`(?m)^func Dialect\(\) provider\.Dialect {`)
	for _, dir := range entries {
		if !dir.IsDir() || dir.Name() == "manual" {
			continue
		}
		files, err := os.ReadDir("../" + dir.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.IsDir() {
				continue
			}
			source, err := os.ReadFile("../" + dir.Name() + "/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			if dialect.Match(source) {
				want = append(want, dir.Name())
			}
		}
	}
	var got []string
	for _, d := range all.Dialects() {
		got = append(got, d.Name)
		if d.New == nil || len(d.Capabilities.Methods) == 0 {
			t.Errorf("%s says nothing of itself", d.Name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dialects (-want +got):\n%s", diff)
	}
}
