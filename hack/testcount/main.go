// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command testcount reads the events of `go test -json` and writes what a person
// wants of them: a line per package, the output of what failed, and the count of
// tests as the last line. It fails if a test did or if there was none.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// longestLine bounds one event; go test splits longer output itself.
const longestLine = 16 << 20

// event is what cmd/test2json and the build of a test write.
type event struct {
	Action  string  `json:"Action"`
	Package string  `json:"Package"`
	Test    string  `json:"Test"`
	Output  string  `json:"Output"`
	Elapsed float64 `json:"Elapsed"` // seconds
	Key     string  `json:"Key"`     // of an attribute (testing.T.Attr)
	Value   string  `json:"Value"`
}

// counter holds the output of what has not ended yet, by package and test.
type counter struct {
	out                     io.Writer
	passed, failed, skipped int
	pending                 map[string]map[string]*strings.Builder
	// failing packages have a test that failed and was counted.
	failing map[string]bool
}

func main() {
	os.Exit(run(os.Stdin, os.Stdout))
}

func run(in io.Reader, out io.Writer) int {
	c := &counter{out: out, pending: map[string]map[string]*strings.Builder{}, failing: map[string]bool{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			c.write(lines.Text() + "\n")
			continue
		}
		c.take(e)
	}
	if err := lines.Err(); err != nil {
		c.write("reading the tests' events: " + err.Error() + "\n")
		c.failed++
	}
	c.write(fmt.Sprintf("%d passed, %d failed, %d skipped\n", c.passed, c.failed, c.skipped))
	if c.failed > 0 || c.passed == 0 {
		return 1
	}
	return 0
}

func (c *counter) take(e event) {
	switch {
	case e.Action == "output":
		_, _ = c.builder(e.Package, e.Test).WriteString(e.Output)
	case e.Action == "build-output":
		c.write(e.Output)
	case e.Action == "attr": // what a test measured is told though it passed
		c.write(fmt.Sprintf("      %s: %s=%s\n", e.Test, e.Key, e.Value))
	case e.Test != "":
		c.endTest(e)
	case e.Package != "":
		c.endPackage(e)
	}
}

func (c *counter) endTest(e event) {
	switch e.Action {
	case "pass":
		c.passed++
	case "skip":
		c.skipped++
	case "fail":
		c.failed++
		c.failing[e.Package] = true
		c.write(c.builder(e.Package, e.Test).String())
	default:
		return
	}
	delete(c.pending[e.Package], e.Test)
}

func (c *counter) endPackage(e event) {
	switch e.Action {
	case "pass":
		c.write(fmt.Sprintf("ok    %s %.1fs\n", e.Package, e.Elapsed))
	case "skip":
		c.write(fmt.Sprintf("-     %s no tests\n", e.Package))
	case "fail":
		// What never ended tells of a panic or a time-out.
		for _, output := range c.pending[e.Package] {
			c.write(output.String())
		}
		c.write(fmt.Sprintf("FAIL  %s %.1fs\n", e.Package, e.Elapsed))
		if !c.failing[e.Package] {
			c.failed++
		}
	default:
		return
	}
	delete(c.pending, e.Package)
}

func (c *counter) builder(pkg, test string) *strings.Builder {
	tests := c.pending[pkg]
	if tests == nil {
		tests = map[string]*strings.Builder{}
		c.pending[pkg] = tests
	}
	if tests[test] == nil {
		tests[test] = &strings.Builder{}
	}
	return tests[test]
}

// write has nobody to tell if the terminal is gone; the exit code still does.
func (c *counter) write(text string) {
	_, _ = io.WriteString(c.out, text)
}
