// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	// maxExpression is in characters.
	maxExpression = 1024
	// maxNesting bounds the parser's recursion.
	maxNesting = 64
	// maxCost is in CEL's cost units: of all rules together, or of one other expression.
	maxCost = 1000
	// maxFacts bounds, in bytes, the facts that expressions are evaluated on: the cost of
	// some functions is known only after they ran.
	maxFacts = 64 << 10
)

var (
	errTooCostly = errors.New("it costs too much")
	errTooLarge  = errors.New("the token says too much for expressions to be evaluated on it")
)

// expression of a policy, in CEL. It is declared by Compile and made ready by Prepare.
type expression struct {
	path, source string
	// result is the type that it must have; any for nil.
	result *cel.Type
	// onRequest says that it may read the request.
	onRequest bool

	program cel.Program
	// readsRequest is known once it is compiled.
	readsRequest bool
}

// declare checks what can be seen without compiling.
func (p *Policy) declare(e expression, wrong *problems) *expression {
	if n := utf8.RuneCountInString(e.source); n == 0 || n > maxExpression || !utf8.ValidString(e.source) {
		wrong.add(e.path, "has %d characters: it must have 1 to %d", n, maxExpression)
	}
	p.expressions = append(p.expressions, &e)
	return &e
}

// Prepare compiles the policy's expressions, once. The error names each that does not
// compile, with its field, and what is wrong. A policy that was not prepared prepares
// itself when it first judges; one that can't be prepared refuses every token.
func (p *Policy) Prepare() error {
	p.prepare.Do(func() {
		p.unprepared = errNotPrepared // a panic, which is contained elsewhere, leaves it so
		p.unprepared = prepare(p.expressions)
	})
	return p.unprepared
}

var errNotPrepared = errors.New("the expressions could not be compiled: a fault of ours")

func prepare(expressions []*expression) error {
	if len(expressions) == 0 {
		return nil
	}
	env, err := environment()
	if err != nil {
		return fmt.Errorf("making the environment of expressions: %w", err)
	}
	var wrong problems
	for _, e := range expressions {
		if problem := e.compile(env); problem != "" {
			wrong.add(e.path, "does not compile: %s", problem)
		}
	}
	return wrong.err()
}

// environment is made once: it never changes, and takes as much memory as a hundred rules.
var environment = sync.OnceValues(newEnv) //nolint:gochecknoglobals // ten thousand policies share it

// newEnv has no clock, no I/O and nothing of the process: claims, the request, and pure
// functions whose work is bounded.
func newEnv() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("request.method", cel.StringType),
		cel.Variable("request.host", cel.StringType),
		cel.Variable("request.path", cel.StringType),
		cel.Variable("request.query", cel.StringType),
		cel.Variable("request.headers", cel.MapType(cel.StringType, cel.StringType)),
		ext.Strings(),
		ext.Sets(),
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ASTValidators(bounded{}),
	)
}

// compile says what is wrong, or nothing.
func (e *expression) compile(env *cel.Env) string {
	parsed, issues := env.Parse(e.source)
	if issues.Err() != nil {
		return firstOf(issues)
	}
	if problem := intricate(parsed.NativeRep().Expr()); problem != "" {
		return problem
	}
	ast, issues := env.Check(parsed)
	if issues.Err() != nil {
		return firstOf(issues)
	}
	if out := ast.OutputType(); e.result != nil && !out.IsExactType(e.result) && !out.IsExactType(cel.DynType) && !e.result.IsAssignableType(out) {
		return fmt.Sprintf("it gives a %s: make it a %s", out, e.result)
	}
	for _, reference := range ast.NativeRep().ReferenceMap() {
		e.readsRequest = e.readsRequest || strings.HasPrefix(reference.Name, "request.")
	}
	if e.readsRequest && !e.onRequest {
		return "it reads the request: only require.rules may"
	}
	var err error
	e.program, err = env.Program(ast,
		cel.EvalOptions(cel.OptOptimize),
		cel.CustomDecoratorV2(guard),
		cel.CostTracking(costs{}),
		cel.CostLimit(maxCost),
	)
	if err != nil {
		return quoted(err.Error())
	}
	return ""
}

// firstOf issues: the others often follow from it.
func firstOf(issues *cel.Issues) string {
	const most = 200
	first := issues.Errors()[0]
	message := strings.ToValidUTF8(first.Message, "?")
	if len(message) > most {
		message = strings.ToValidUTF8(message[:most], "") + "…"
	}
	return fmt.Sprintf("column %d: %s", first.Location.Column()+1, strings.Join(strings.Fields(message), " "))
}

// eval evaluates on what is known; cost is in CEL's units. The error may hold a claim:
// it is not for any message.
func (e *expression) eval(on *activation) (value ref.Val, cost uint64, err error) {
	if e.program == nil {
		return nil, 0, errors.New("it was not compiled")
	}
	value, details, err := e.program.Eval(on)
	if details != nil && details.ActualCost() != nil {
		cost = *details.ActualCost()
	}
	switch {
	case cost > maxCost:
		return nil, cost, errTooCostly
	case err != nil:
		return nil, cost, err
	case types.IsUnknownOrError(value):
		return nil, cost, errors.New("it gives no value")
	}
	return value, cost, nil
}

// claimsOf facts, for an expression.
func claimsOf(f *token.Facts) (*activation, error) {
	if f.Size > maxFacts {
		return nil, errTooLarge
	}
	return &activation{claims: types.DefaultTypeAdapter.NativeToValue(f.Values())}, nil
}
