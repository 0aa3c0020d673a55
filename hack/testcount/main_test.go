// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		events []string
		code   int
		want   string
	}{
		"passing": {
			reason: "each test counts, subtests too; their output is noise",
			events: []string{
				`{"Action":"run","Package":"a","Test":"T"}`,
				`{"Action":"output","Package":"a","Test":"T","Output":"noise\n"}`,
				`{"Action":"pass","Package":"a","Test":"T/sub"}`,
				`{"Action":"pass","Package":"a","Test":"T"}`,
				`{"Action":"skip","Package":"a","Test":"S"}`,
				`{"Action":"pass","Package":"a","Elapsed":1.25}`,
				`{"Action":"skip","Package":"b"}`,
			},
			want: "ok    a 1.2s\n-     b no tests\n2 passed, 0 failed, 1 skipped\n",
		},
		"attributes": {
			reason: "what a test measured is told though it passed",
			events: []string{
				`{"Action":"attr","Package":"a","Test":"T","Key":"killed-at-points","Value":"65"}`,
				`{"Action":"pass","Package":"a","Test":"T"}`,
			},
			want: "      T: killed-at-points=65\n1 passed, 0 failed, 0 skipped\n",
		},
		"failing": {
			reason: "the output of what failed is shown, and the package is not counted again",
			events: []string{
				`{"Action":"output","Package":"a","Test":"T","Output":"why\n"}`,
				`{"Action":"fail","Package":"a","Test":"T"}`,
				`{"Action":"pass","Package":"a","Test":"U"}`,
				`{"Action":"output","Package":"a","Output":"FAIL\n"}`,
				`{"Action":"fail","Package":"a"}`,
			},
			code: 1,
			want: "why\nFAIL\nFAIL  a 0.0s\n1 passed, 1 failed, 0 skipped\n",
		},
		"does not build": {
			reason: "a package without a test that ran is a failure, never nothing",
			events: []string{
				`{"Action":"build-output","ImportPath":"a","Output":"undefined: x\n"}`,
				`{"Action":"build-fail","ImportPath":"a"}`,
				`{"Action":"pass","Package":"b","Test":"T"}`,
				`{"Action":"fail","Package":"a"}`,
			},
			code: 1,
			want: "undefined: x\nFAIL  a 0.0s\n1 passed, 1 failed, 0 skipped\n",
		},
		"panics": {
			reason: "a test that never ended is shown with its package",
			events: []string{
				`{"Action":"output","Package":"a","Test":"T","Output":"panic: x\n"}`,
				`{"Action":"fail","Package":"a"}`,
			},
			code: 1,
			want: "panic: x\nFAIL  a 0.0s\n0 passed, 1 failed, 0 skipped\n",
		},
		"nothing": {reason: "no test is not a success", code: 1, want: "0 passed, 0 failed, 0 skipped\n"},
		"other words": {
			reason: "what is no event is passed on",
			events: []string{"go: downloading", `{"Action":"pass","Package":"a","Test":"T"}`},
			want:   "go: downloading\n1 passed, 0 failed, 0 skipped\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			code := run(strings.NewReader(strings.Join(tc.events, "\n")), &out)
			if code != tc.code {
				t.Errorf("%s: exit code %d, want %d", tc.reason, code, tc.code)
			}
			if diff := cmp.Diff(tc.want, out.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
