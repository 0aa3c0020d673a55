// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// entry is a row: what means and do say begins with a small letter or a name, and has no full stop.
type entry struct {
	name, kind, means, do string
}

// group is one block of constants.
type group struct {
	title, head string
	entries     []entry
}

// readConstants finds the Condition… and Reason… constants of a package, by their blocks.
func readConstants(dir string) ([]group, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	var groups []group
	var wrong []error
	for _, name := range files {
		file, err := parse(name)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			block, ok := d.(*ast.GenDecl)
			if !ok || block.Tok != token.CONST {
				continue
			}
			g, err := readBlock(block)
			wrong = append(wrong, err)
			if len(g.entries) > 0 {
				groups = append(groups, g)
			}
		}
	}
	return groups, errors.Join(wrong...)
}

// readBlock reads one const (…); its comment's first sentence is the title.
func readBlock(block *ast.GenDecl) (group, error) {
	title, _, _ := strings.Cut(strings.Join(strings.Fields(block.Doc.Text()), " "), ".")
	g := group{title: title}
	var wrong []error
	for _, s := range block.Specs {
		constant, ok := s.(*ast.ValueSpec)
		if !ok || len(constant.Values) != 1 {
			continue
		}
		name := constant.Names[0].Name
		switch {
		case strings.HasPrefix(name, "Condition"):
			g.head = "condition"
		case strings.HasPrefix(name, "Reason"):
			g.head = "reason"
		default:
			continue
		}
		value, ok := text(constant.Values[0])
		if !ok {
			continue // a constant of another type
		}
		e, err := explain(name, constant.Doc)
		e.name = value
		g.entries, wrong = append(g.entries, e), append(wrong, err)
	}
	return g, errors.Join(wrong...)
}

// readEvents finds the functions that make Events: calls of Eventf(object, related, type, reason, …).
func readEvents(name string) ([]entry, error) {
	file, err := parse(name)
	if err != nil {
		return nil, err
	}
	var events []entry
	var wrong []error
	for _, d := range file.Decls {
		constructor, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		var names []string
		kind := ""
		ast.Inspect(constructor, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 4 || selected(call.Fun) != "Eventf" {
				return true
			}
			kind = strings.TrimPrefix(selected(call.Args[2]), "EventType")
			if reason, ok := text(call.Args[3]); ok && !slices.Contains(names, "`"+reason+"`") {
				names = append(names, "`"+reason+"`")
			}
			return true
		})
		if len(names) == 0 {
			continue
		}
		e, err := explain(constructor.Name.Name, constructor.Doc)
		e.name, e.kind = strings.Join(names, ", "), kind
		events, wrong = append(events, e), append(wrong, err)
	}
	return events, errors.Join(wrong...)
}

var (
	// goName is a constant that a comment refers to; readers of the page know its value.
	goName = regexp.MustCompile(`\b(?:Reason|Condition)([A-Z]\w+)`)
	// otherPage is a page that a comment sends its reader to.
	otherPage = regexp.MustCompile(`\bdocs/([\w/]+)\.md(#[\w-]+)?`)
)

// explain takes a comment apart.
func explain(name string, comment *ast.CommentGroup) (entry, error) {
	words := strings.Join(strings.Fields(comment.Text()), " ")
	means, do, ok := strings.Cut(words, " Do: ")
	if means, found := strings.CutPrefix(means, name); ok && found {
		means = strings.TrimSpace(strings.TrimPrefix(means, ":"))
		return entry{means: cell(means), do: cell(do)}, nil
	}
	return entry{}, fmt.Errorf(`%s: its comment must be "%s: what it means.", and from a new line "Do: what to do."`, name, name)
}

// cell is a text as it may stand in a table.
func cell(s string) string {
	s = goName.ReplaceAllString(strings.TrimSuffix(s, "."), "`$1`")
	s = otherPage.ReplaceAllString(s, "[$1](../$1.md$2)")
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(s)
}

func parse(name string) (*ast.File, error) {
	source, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		return nil, fmt.Errorf("reading the code: %w", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parsing the code: %w", err)
	}
	return file, nil
}

func text(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(literal.Value)
	return s, err == nil
}

func selected(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return ""
}
