// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// constraint is one thing that a schema refuses.
type constraint struct {
	kind string
	// field is the path, with [] for the items of a list and [*] for the values of a map.
	field string
	// is the schema's keyword, or the message of a CEL rule.
	is string
}

func (c constraint) String() string { return fmt.Sprintf("%s %s: %s", c.kind, c.field, c.is) }

// TestEveryConstraintIsTested walks the generated CRDs. A constraint of a spec
// that no row refuses something by is one that nobody saw work.
func TestEveryConstraintIsTested(t *testing.T) {
	t.Parallel()
	tested := map[constraint]bool{}
	for kind, rows := range refusals {
		for _, r := range rows() {
			tested[r.constraint(kind)] = true
		}
	}
	for kind, rows := range changes {
		for _, r := range rows {
			tested[r.constraint(kind)] = true
		}
	}
	declared := map[constraint]bool{}
	for kind, schema := range schemas(t) {
		for _, rule := range schema.XValidations {
			declared[constraint{kind, strings.TrimPrefix(rule.FieldPath, "."), rule.Message}] = true
		}
		spec := schema.Properties["spec"]
		walk("spec", spec, func(field string, s apiextensionsv1.JSONSchemaProps) {
			for _, is := range constraintsOf(s) {
				declared[constraint{kind, field, is}] = true
			}
			for _, rule := range s.XValidations {
				declared[constraint{kind, field + rule.FieldPath, rule.Message}] = true
			}
			for _, name := range s.Required {
				declared[constraint{kind, field + "." + name, "required"}] = true
			}
		})
		declared[constraint{kind, "spec", "required"}] = slices.Contains(schema.Required, "spec")
	}
	for c := range declared {
		if !tested[c] {
			t.Errorf("no test row for %v", c)
		}
	}
	for c := range tested {
		if !declared[c] {
			t.Errorf("a test row for what the schema does not say: %v", c)
		}
	}
}

// constraintsOf are the keywords by which a schema refuses, without its CEL rules.
func constraintsOf(s apiextensionsv1.JSONSchemaProps) []string {
	var found []string
	for is, set := range map[string]bool{
		"enum":          len(s.Enum) > 0,
		"pattern":       s.Pattern != "",
		"format":        s.Format != "" && s.Type == "string",
		"minLength":     s.MinLength != nil && *s.MinLength > 0,
		"maxLength":     s.MaxLength != nil,
		"minItems":      s.MinItems != nil && *s.MinItems > 0,
		"maxItems":      s.MaxItems != nil,
		"minProperties": s.MinProperties != nil && *s.MinProperties > 0,
		"maxProperties": s.MaxProperties != nil,
		"minimum":       s.Minimum != nil,
		"maximum":       s.Maximum != nil,
		"unique":        s.XListType != nil && *s.XListType != "atomic",
	} {
		if set {
			found = append(found, is)
		}
	}
	return found
}

// walk visits a schema and all below it.
func walk(field string, s apiextensionsv1.JSONSchemaProps, visit func(string, apiextensionsv1.JSONSchemaProps)) {
	visit(field, s)
	for name, property := range s.Properties {
		walk(field+"."+name, property, visit)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(field+"[]", *s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk(field+"[*]", *s.AdditionalProperties.Schema, visit)
	}
}

// schemas reads the generated CRDs, by kind.
func schemas(t *testing.T) map[string]apiextensionsv1.JSONSchemaProps {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]apiextensionsv1.JSONSchemaProps{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found[crd.Spec.Names.Kind] = *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	if len(found) != len(minimal) {
		t.Fatalf("%d kinds in %s, want %d", len(found), crds, len(minimal))
	}
	return found
}

// explained is how wide a line of a description is that kubectl explain leaves whole.
const explained = 74

// TestFieldsAreDescribed holds the descriptions, which kubectl explain shows, to
// the form that reads well: they open with the name in JSON and end as a sentence.
func TestFieldsAreDescribed(t *testing.T) {
	t.Parallel()
	for kind, schema := range schemas(t) {
		if schema.Description == "" {
			t.Errorf("%s has no description", kind)
		}
		for _, part := range []string{"spec", "status"} {
			walk(part, schema.Properties[part], func(field string, s apiextensionsv1.JSONSchemaProps) {
				name := field[strings.LastIndex(field, ".")+1:]
				if strings.HasSuffix(name, "]") || strings.Contains(field, "conditions[]") || strings.Contains(field, "namespaceSelector.") {
					return // an item has the description of its type; the others are Kubernetes' own
				}
				if !strings.HasPrefix(s.Description, name+" ") || !strings.HasSuffix(s.Description, ".") {
					t.Errorf("%s %s: the description must begin with the name and end with a full stop: %q", kind, field, s.Description)
				}
				for line := range strings.Lines(s.Description) {
					if len(strings.TrimSpace(line)) > explained {
						t.Errorf("%s %s: kubectl explain breaks this line: %q", kind, field, line)
					}
				}
			})
		}
	}
}
