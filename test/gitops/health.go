// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops judges objects as GitOps tools do: by the kstatus library, by Argo CD's
// health scripts and by Flux's health expressions, the latter two as config/ ships them.
package gitops

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// ArgoKey is what the key of a kind's script begins with, in Argo CD's ConfigMap.
const ArgoKey = "resource.customizations.health.introspection.dev_"

// Judges are the tools' rules, a kind each.
type Judges struct {
	scripts     map[string]string      // by ArgoKey and kind
	expressions map[string]expressions // by kind
}

// expressions are Flux's healthCheckExprs of one kind.
type expressions struct {
	Kind       string `json:"kind"`
	InProgress string `json:"inProgress"`
	Failed     string `json:"failed"`
	Current    string `json:"current"`
}

// Load reads the shipped rules: the patch for argocd-cm, and the example Kustomization.
func Load(argoPatch, fluxKustomization string) (*Judges, error) {
	patch := struct {
		Data map[string]string `json:"data"`
	}{}
	kustomization := struct {
		Spec struct {
			HealthCheckExprs []expressions `json:"healthCheckExprs"`
		} `json:"spec"`
	}{}
	for path, into := range map[string]any{argoPatch: &patch, fluxKustomization: &kustomization} {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the shipped rules: %w", err)
		}
		if err := yaml.Unmarshal(content, into); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", path, err)
		}
	}
	j := &Judges{scripts: patch.Data, expressions: map[string]expressions{}}
	for _, e := range kustomization.Spec.HealthCheckExprs {
		j.expressions[e.Kind] = e
	}
	return j, nil
}

// Scripts are the Lua scripts, by their keys in argocd-cm.
func (j *Judges) Scripts() map[string]string { return j.scripts }

// Compute is the verdict of all three. An error says that a tool does not agree with kstatus.
func (j *Judges) Compute(ctx context.Context, object *unstructured.Unstructured) (status.Status, error) {
	result, err := status.Compute(object)
	if err != nil {
		return status.UnknownStatus, fmt.Errorf("asking kstatus: %w", err)
	}
	argo, err := j.Argo(ctx, object)
	if err != nil {
		return result.Status, err
	}
	flux, err := j.Flux(ctx, object)
	if err != nil {
		return result.Status, err
	}
	wantArgo := map[status.Status]string{
		status.InProgressStatus: "Progressing", status.TerminatingStatus: "Progressing", status.FailedStatus: "Degraded", status.CurrentStatus: "Healthy",
		status.NotFoundStatus: "", status.UnknownStatus: "", // of no object that there is
	}[result.Status]
	if wantArgo == "Healthy" && suspended(object) { // which the others have no word for
		wantArgo = "Suspended"
	}
	wantFlux := result.Status
	if wantFlux == status.TerminatingStatus { // which Flux's expressions do not know
		wantFlux = status.InProgressStatus
	}
	if argo != wantArgo || flux != wantFlux {
		return result.Status, fmt.Errorf("kstatus says %s, Argo CD %s, Flux %s", result.Status, argo, flux)
	}
	return result.Status, nil
}

// suspended says that an object asks to be left as it is.
func suspended(object *unstructured.Unstructured) bool {
	management, _, _ := unstructured.NestedString(object.Object, "spec", "management")
	return management == "Suspended"
}

// Argo runs the kind's script as Argo CD does: with the object as obj, and few libraries.
func (j *Judges) Argo(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	script, ok := j.scripts[ArgoKey+object.GetKind()]
	if !ok {
		return "", fmt.Errorf("no script for %s", object.GetKind())
	}
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	l.SetContext(ctx)
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return "", fmt.Errorf("opening Lua's library %q: %w", name, err)
		}
	}
	l.SetGlobal("obj", luaValue(l, object.Object))
	if err := l.DoString(script); err != nil {
		return "", fmt.Errorf("running the script of %s: %w", object.GetKind(), err)
	}
	health, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return "", fmt.Errorf("the script of %s returns no table", object.GetKind())
	}
	if health.RawGetString("message").Type() != lua.LTString {
		return "", fmt.Errorf("the script of %s gives no message", object.GetKind())
	}
	return health.RawGetString("status").String(), nil
}

func luaValue(l *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		t := l.NewTable()
		for _, item := range v {
			t.Append(luaValue(l, item))
		}
		return t
	case map[string]any:
		t := l.NewTable()
		for key, item := range v {
			t.RawSetString(key, luaValue(l, item))
		}
		return t
	default:
		return lua.LNil
	}
}

// Flux evaluates the kind's expressions in the order of Flux (its RFC 0009): an older
// observedGeneration, then inProgress, failed and current; none of them is in progress.
func (j *Judges) Flux(ctx context.Context, object *unstructured.Unstructured) (status.Status, error) {
	e, ok := j.expressions[object.GetKind()]
	if !ok || e.Current == "" {
		return "", fmt.Errorf("no expressions for %s", object.GetKind())
	}
	observed, ok, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if err != nil {
		return "", fmt.Errorf("reading observedGeneration: %w", err)
	}
	if ok && observed != object.GetGeneration() {
		return status.InProgressStatus, nil
	}
	for _, rule := range []struct {
		expression string
		status     status.Status
	}{{e.InProgress, status.InProgressStatus}, {e.Failed, status.FailedStatus}, {e.Current, status.CurrentStatus}} {
		if rule.expression == "" {
			continue
		}
		holds, err := evaluate(ctx, rule.expression, object.Object)
		if err != nil {
			return "", err
		}
		if holds {
			return rule.status, nil
		}
	}
	return status.InProgressStatus, nil
}

// evaluate parses without types, in the environment of Flux.
func evaluate(ctx context.Context, expression string, object map[string]any) (bool, error) {
	env, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
	)
	if err != nil {
		return false, fmt.Errorf("making the environment: %w", err)
	}
	ast, issues := env.Parse(expression)
	if issues.Err() != nil {
		return false, fmt.Errorf("parsing %q: %w", expression, issues.Err())
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(100))
	if err != nil {
		return false, fmt.Errorf("preparing %q: %w", expression, err)
	}
	value, _, err := program.ContextEval(ctx, object)
	if err != nil {
		return false, fmt.Errorf("evaluating %q: %w", expression, err)
	}
	holds, ok := value.Value().(bool)
	if !ok {
		return false, errors.New(expression + " is no yes or no")
	}
	return holds, nil
}
