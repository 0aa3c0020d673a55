// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// maxWeight bounds a value that an expression makes, in elements.
const maxWeight = 2000

// bytesAnElement is how much of a string weighs as much as an element.
const bytesAnElement = 16

// weight of a value: all its elements, at all depths, as often as it has them, and a part
// of its strings' bytes. It stops to count beyond most.
func weight(v ref.Val, most int) int {
	n := 1
	switch v := v.(type) {
	case types.String:
		n += len(v) / bytesAnElement
	case types.Bytes:
		n += len(v) / bytesAnElement
	case traits.Lister:
		for it := v.Iterator(); n <= most && it.HasNext() == types.True; {
			n += weight(it.Next(), most-n)
		}
	case traits.Mapper:
		for it := v.Iterator(); n <= most && it.HasNext() == types.True; {
			key := it.Next()
			n += weight(key, most-n)
			if value, ok := v.Find(key); ok {
				n += weight(value, most-n)
			}
		}
	}
	return n
}

// guard keeps the values that an expression makes small. [x,x] and x+x share what they
// hold, so that thirty of them in a row cost next to nothing to make, and for ever to
// compare: CEL's cost counts the elements at the top only.
func guard(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch node := i.(type) {
	case interpreter.InterpretableConstructor:
		for _, part := range node.InitVals() {
			if _, constant := part.(interpreter.InterpretableConst); !constant {
				return guardedConstructor{node}, nil
			}
		}
	case interpreter.InterpretableCall:
		if node.Function() == operators.Add {
			return guardedCall{node}, nil
		}
	}
	return i, nil
}

type guardedConstructor struct {
	interpreter.InterpretableConstructor
}

// Exec implements interpreter.InterpretableV2.
func (g guardedConstructor) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return light(g.InterpretableConstructor.Exec(frame))
}

// Eval implements interpreter.Interpretable.
func (g guardedConstructor) Eval(on interpreter.Activation) ref.Val {
	return light(g.InterpretableConstructor.Eval(on))
}

type guardedCall struct{ interpreter.InterpretableCall }

// Exec implements interpreter.InterpretableV2.
func (g guardedCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return light(g.InterpretableCall.Exec(frame))
}

// Eval implements interpreter.Interpretable.
func (g guardedCall) Eval(on interpreter.Activation) ref.Val {
	return light(g.InterpretableCall.Eval(on))
}

func light(v ref.Val) ref.Val {
	if weight(v, maxWeight) > maxWeight {
		return types.NewErr("a value grew too large")
	}
	return v
}

// costs are those of calls that CEL counts by the top of their arguments only, or not at
// all where their type is not known when it compiles.
type costs struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	const elementsAUnit = 10
	var n int
	switch function {
	case operators.Add:
		switch sum := result.(type) { // of claims: their type is not known before
		case types.String:
			n = len(sum)
		case traits.Lister:
			n = weight(sum, maxWeight)
		default:
			return nil
		}
	case operators.Equals, operators.NotEquals:
		n = min(weight(args[0], maxWeight), weight(args[1], maxWeight))
	case operators.In, operators.OldIn:
		if _, ok := args[1].(traits.Lister); !ok {
			return nil
		}
		n = weight(args[1], maxWeight)
	default:
		return nil
	}
	cost := uint64(1 + n/elementsAUnit)
	return &cost
}
