// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
)

// row is one refusal and its neighbour.
type row struct {
	reason string
	// with is what the rest of the row stands on, beside the minimal object.
	with edits
	// refused is what the server must not take: at field, with message.
	refused        edits
	field, message string
	// schema is the field that says so, where the server names another.
	schema string
	// accepted is as near to it as can be, and taken.
	accepted edits
}

// refusals are the tables: what no object of a kind may be.
var refusals = map[string]func() map[string]row{
	serverKind: serverRefusals,
	clientKind: clientRefusals,
	policyKind: policyRefusals,
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for kind, rows := range refusals {
		for name, tc := range rows() {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				base := edited(t, kind, tc.with)
				refused(t, try(t, edit(t, base, tc.refused)), tc.field, tc.message)
				if err := try(t, edit(t, base, tc.accepted)); err != nil {
					t.Errorf("%s: the neighbour is refused too: %v", tc.reason, err)
				}
			})
		}
	}
}

// words tell by which of a schema's keywords a value was refused; any other
// message is that of a CEL rule.
var words = map[string]string{
	"Required value":                     "required",
	"Unsupported value":                  "enum",
	"Duplicate value":                    "unique",
	"should be at least":                 "minLength",
	"may not be more than":               "maxLength",
	"should have at least":               "minItems",
	"Too many":                           "maxItems",
	"should be greater than or equal to": "minimum",
	"should be less than or equal to":    "maximum",
}

var (
	index  = regexp.MustCompile(`\[[0-9]+\]`)
	mapKey = regexp.MustCompile(`\[[^\]]+\]`)

	mapKeys = strings.NewReplacer("[", ".", "]", "")
)

// constraint is what refuses a row.
func (r row) constraint(kind string) constraint {
	field := index.ReplaceAllString(cmp.Or(r.schema, r.field), "[]")
	field = mapKey.ReplaceAllString(field, "[*]")
	for text, keyword := range words {
		if !strings.Contains(r.message, text) {
			continue
		}
		switch {
		case keyword == "unique":
			field = strings.TrimSuffix(field, "[]") // it is the list that says so
		case keyword == "maxItems" && isMap(r.refused):
			keyword = "maxProperties"
		case keyword == "minItems" && isMap(r.refused):
			keyword = "minProperties"
		}
		return constraint{kind, field, keyword}
	}
	return constraint{kind, field, r.message}
}

func isMap(changes edits) bool {
	for _, value := range changes {
		if _, ok := value.(map[string]any); ok {
			return true
		}
	}
	return false
}

// tables puts tables together.
func tables(all ...map[string]row) map[string]row {
	rows := map[string]row{}
	for _, table := range all {
		for name, r := range table {
			if _, twice := rows[name]; twice {
				panic("two rows are called " + name)
			}
			rows[name] = r
		}
	}
	return rows
}

// bound is how short or long, few or many, small or large a field may be.
type bound struct {
	reason      string
	with        edits
	least, most int
	// of makes a value of that size, or the next that is legal: a string, a list, a map or the number.
	of func(size int) any
}

// bounds makes rows of both ends of each field.
func bounds(fields map[string]bound) map[string]row {
	rows := map[string]row{}
	for field, b := range fields {
		tooLittle, tooMuch := sayings(b)
		r := row{reason: b.reason, with: b.with, field: field, schema: field}
		if strings.Contains(field, "[") && !index.MatchString(field) {
			r.field = mapKeys.Replace(field) // a schema's keywords name entries of maps so, CEL does not
		}
		r.refused, r.message, r.accepted = edits{field: b.of(b.most + 1)}, tooMuch, edits{field: b.of(b.most)}
		rows[field+" above"] = r
		if b.least > 0 {
			r.refused, r.message, r.accepted = edits{field: b.of(b.least - 1)}, tooLittle, edits{field: b.of(b.least)}
			rows[field+" below"] = r
		}
	}
	return rows
}

func sayings(b bound) (tooLittle, tooMuch string) {
	switch b.of(b.most).(type) {
	case string:
		return fmt.Sprintf("should be at least %d chars long", b.least), fmt.Sprintf("may not be more than %d bytes", b.most)
	case int:
		return fmt.Sprintf("should be greater than or equal to %d", b.least), fmt.Sprintf("should be less than or equal to %d", b.most)
	default:
		return fmt.Sprintf("should have at least %d items", b.least), fmt.Sprintf("Too many: %d: must have at most %d item", b.most+1, b.most)
	}
}

// choice is a field with a few values.
type choice struct {
	reason string
	with   edits
	values []string
}

// choices makes a row of each value of each field.
func choices(fields map[string]choice) map[string]row {
	rows := map[string]row{}
	for field, c := range fields {
		for _, value := range c.values {
			rows[field+" "+value] = row{
				reason: c.reason, with: c.with,
				refused: edits{field: strings.ToLower(value)}, field: field,
				message:  fmt.Sprintf("Unsupported value: %q: supported values: \"%s\"", strings.ToLower(value), strings.Join(c.values, `", "`)),
				accepted: edits{field: value},
			}
		}
	}
	return rows
}

// sets makes rows of lists that take nothing twice, by one item of each.
func sets(items map[string]row) map[string]row {
	rows := map[string]row{}
	for list, r := range items {
		item, other := r.refused[list], r.accepted[list]
		r.refused, r.accepted = edits{list: []any{item, item}}, edits{list: []any{item, other}}
		r.field, r.message = list+"[1]", "Duplicate value"
		rows[list+" twice"] = r
	}
	return rows
}

// needs makes rows of fields that have to be there; with must make them so.
func needs(fields map[string]row) map[string]row {
	rows := map[string]row{}
	for field, r := range fields {
		r.refused, r.field, r.message, r.accepted = edits{field: absent{}}, field, "Required value", maps.Clone(r.with)
		rows[field+" missing"] = r
	}
	return rows
}

// text of a size, legal in any name.
func text(size int) any { return strings.Repeat("a", size) }

// list of a size, of different items.
func list(size int) any {
	items := make([]any, size)
	for i := range items {
		items[i] = fmt.Sprintf("item%d", i)
	}
	return items
}

// dictionary of a size.
func dictionary(size int) any {
	entries := map[string]any{}
	for i := range size {
		entries[fmt.Sprintf("key%d", i)] = "value"
	}
	return entries
}

// number itself.
func number(n int) any { return n }

// address is a URL of a size that ends as a Keycloak realm's does.
func address(size int) any {
	const start, end = "https://sso.example.com/", "/realms/acme"
	if size == 0 {
		return ""
	}
	return start + strings.Repeat("a", max(0, size-len(start)-len(end))) + end
}

// hours is a duration of two hours in so many characters.
func hours(size int) any { return "2." + strings.Repeat("0", size-3) + "h" }

// seconds is a duration of two seconds in so many characters.
func seconds(size int) any { return "2." + strings.Repeat("0", size-3) + "s" }

// rule is a CEL rule of one value: what it refuses, and what it does not.
type rule struct {
	reason  string
	with    edits
	message string
	refused []any
	// accepted are neighbours; the last stands beside all further refused ones.
	accepted []any
}

// rules makes a row of each value. A field with several rules has a word after its name.
func rules(fields map[string]rule) map[string]row {
	rows := map[string]row{}
	for name, r := range fields {
		field, _, _ := strings.Cut(name, " ")
		for i := range max(len(r.refused), len(r.accepted)) {
			rows[fmt.Sprintf("%s %d", name, i)] = row{
				reason: r.reason, with: r.with, field: field, message: r.message,
				refused:  edits{field: r.refused[min(i, len(r.refused)-1)]},
				accepted: edits{field: r.accepted[min(i, len(r.accepted)-1)]},
			}
		}
	}
	return rows
}
