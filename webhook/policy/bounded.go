// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"regexp/syntax"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

const (
	// maxMacros and maxLiterals bound the depth of types.
	maxMacros   = 8
	maxLiterals = 24
	// maxLiteral bounds what a function multiplies a claim by, in bytes.
	maxLiteral = 64
	// maxPattern bounds the instructions of a regular expression: matching costs as much
	// for each byte.
	maxPattern = 256
)

// bounded refuses calls whose work nobody can bound before they are made: CEL adds up the
// cost of a call when it is over, and a tenant's rule runs where everybody's traffic is.
type bounded struct{}

// Name implements cel.ASTValidator.
func (bounded) Name() string { return "introspection.bounded" }

// Validate implements cel.ASTValidator.
func (bounded) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		if problem := unbounded(e.AsCall()); problem != "" {
			issues.ReportErrorAtID(e.ID(), "%s", problem)
		}
	}))
}

// intricate says what is wrong with an expression that would be long to check: the types
// of lists of lists are compared level by level, and at four hundred levels that takes a
// minute.
func intricate(e ast.Expr) string {
	literals, macros := 0, 0
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ListKind, ast.MapKind, ast.StructKind:
			literals++
		case ast.ComprehensionKind:
			macros++
		case ast.UnspecifiedExprKind, ast.CallKind, ast.IdentKind, ast.LiteralKind, ast.SelectKind: // no types of their own
		}
	}))
	if literals > maxLiterals || macros > maxMacros {
		return fmt.Sprintf("it has more than %d macros over lists or objects, or more than %d lists and objects that are written out, two for each map or filter: make two of it", maxMacros, maxLiterals)
	}
	return ""
}

// unbounded says what is wrong with a call.
func unbounded(call ast.CallExpr) string {
	args := call.Args()
	switch name := call.FunctionName(); name {
	case "format":
		return "format is not available: join strings by +"
	case "matches":
		return pattern(args[len(args)-1])
	case "join", "replace", "split", "indexOf", "lastIndexOf":
		for _, arg := range args {
			if text, ok := literal(arg); arg.Kind() != ast.LiteralKind || ok && len(text) > maxLiteral {
				return name + " takes literals only, of at most 64 bytes"
			}
		}
	case "sets.contains", "sets.equivalent", "sets.intersects":
		if args[0].Kind() != ast.ListKind && args[1].Kind() != ast.ListKind {
			return name + " needs a list that is written out as one of its arguments"
		}
	case "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds":
		if len(args) > 0 {
			return name + " takes no time zone here: times are UTC" // a zone is read from a file
		}
	}
	return ""
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}

// pattern says what is wrong with a regular expression (RE2).
func pattern(e ast.Expr) string {
	text, ok := literal(e)
	if !ok {
		return "matches takes a literal only"
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return "matches has a regular expression that is none: " + err.Error()
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return "matches has a regular expression that is none: " + err.Error()
	}
	if len(program.Inst) > maxPattern {
		return "matches has a regular expression that is too large: repeat less in it"
	}
	return ""
}
