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

// page is one whose commands are run.
type page struct {
	file string
	// trials are how the tasks of its sections are done, and what has come of it then.
	trials map[string]func(d *doing)
}

func pages() []page {
	return []page{
		{"operations.md", trials()},
		{"restore.md", restores()},
	}
}

// task is a section of a page, and its blocks of commands in their order.
type task struct {
	title  string
	blocks []string
}

var (
	heading = regexp.MustCompile(`(?m)^#{2,3} (.+)$`)
	block   = regexp.MustCompile("(?ms)^( *)```sh\n(.*?)^ *```$")
	// commands begins a block that has some, also one under a name that is not run.
	commands = regexp.MustCompile("```(?:sh|bash|shell|console)\n")
)

// tasks are the sections of a page that have commands.
func tasks(t *testing.T, file string) []task {
	t.Helper()
	content, err := os.ReadFile(tree + "/docs/" + file)
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
	if shown := len(commands.FindAll(content, -1)); shown == 0 || shown != count(all) {
		t.Fatalf("%d blocks of commands in %s, %d found", shown, file, count(all))
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
	for _, p := range pages() {
		var shown, done []string
		for _, found := range tasks(t, p.file) {
			shown = append(shown, found.title)
		}
		for title := range p.trials {
			done = append(done, title)
		}
		slices.Sort(shown)
		slices.Sort(done)
		if !slices.Equal(shown, done) {
			t.Errorf("%s has %q, the tests do %q", p.file, shown, done)
		}
	}
}
