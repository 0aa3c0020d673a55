// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = tree + "/docs/operations.md"

// task is a section of the page, and its blocks of commands in their order.
type task struct {
	title  string
	blocks []string
}

var (
	heading = regexp.MustCompile(`(?m)^#{2,3} (.+)$`)
	block   = regexp.MustCompile("(?ms)^( *)```sh\n(.*?)^ *```$")
)

// tasks are the sections of the page that have commands.
func tasks(t *testing.T) []task {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []task
	places := heading.FindAllSubmatchIndex(content, -1)
	for i, at := range places {
		end := len(content)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		found := task{title: string(content[at[2]:at[3]])}
		for _, b := range block.FindAllStringSubmatch(string(content[at[1]:end]), -1) {
			var lines []string
			for line := range strings.Lines(b[2]) {
				lines = append(lines, strings.TrimPrefix(line, b[1])) // of a list
			}
			found.blocks = append(found.blocks, strings.Join(lines, ""))
		}
		if len(found.blocks) > 0 {
			all = append(all, found)
		}
	}
	if shown := strings.Count(string(content), "```sh\n"); shown == 0 || shown != count(all) {
		t.Fatalf("%d blocks in the page, %d found", shown, count(all))
	}
	return all
}

func count(all []task) int {
	n := 0
	for _, found := range all {
		n += len(found.blocks)
	}
	return n
}

// TestEveryTaskIsDone: a section with commands that no test knows is one that nobody ran.
func TestEveryTaskIsDone(t *testing.T) {
	var shown, done []string
	for _, found := range tasks(t) {
		shown = append(shown, found.title)
	}
	for title := range trials() {
		done = append(done, title)
	}
	slices.Sort(shown)
	slices.Sort(done)
	if !slices.Equal(shown, done) {
		t.Errorf("the page has %q, the tests do %q", shown, done)
	}
}
