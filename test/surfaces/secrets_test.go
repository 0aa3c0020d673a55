// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// written is what a plane wrote where others than the caller read.
func (p *plane) written(t *testing.T) map[string]string {
	t.Helper()
	families, err := prometheus.Gatherer(p.registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var metrics, spans strings.Builder
	for _, f := range families {
		metrics.WriteString(f.String() + "\n")
	}
	for _, s := range p.spans.Ended() {
		fmt.Fprintln(&spans, s.Name(), s.Attributes(), s.Events(), s.Status(), s.Links(), s.Resource())
	}
	return map[string]string{"log": p.log.String(), "metrics": metrics.String(), "traces": spans.String()}
}

// TestCVE202431391 (CVE-2023-2878, CVE-2025-7445): whatever is asked, and however it ends, no
// token, no secret, no claim and no word of a server stands in a log, a metric, a trace, an
// error or a refusal. An allow alone tells claims, and to its caller.
func TestCVE202431391(t *testing.T) {
	all := both()
	p, c := everything(t, all)
	canaries := map[string]string{
		"the workload's secret": workloadSecret, "the client's secret": serverSecret, "a server's words": upstreamWords, "the subject": "canary-subject",
		"the client's credentials": base64.StdEncoding.EncodeToString([]byte(clientID + ":" + serverSecret)),
	}
	answers, told := map[string]answer{}, 0
	for name, tr := range all {
		for i, s := range p.surfaces {
			q := c.question(&tr, slug(name), fmt.Sprintf("canary-%s-%d", slug(name), i))
			q.headers = map[string][]string{"Cookie": {"canary-cookie"}, "X-Auth-Subjects": {"canary-header"}}
			if len(q.token) > len("canary") {
				canaries["the token of "+name] = q.token
				if _, signature, ok := strings.Cut(q.token[strings.Index(q.token, ".")+1:], "."); ok && len(signature) > 40 {
					canaries["the signature of "+name] = signature
				}
			}
			canaries["the workload's credentials for "+name] = base64.StdEncoding.EncodeToString([]byte(slug(name) + ":" + workloadSecret))
			a := s.must(t, q)
			if a.verdict == allow {
				told += strings.Count(a.text, "canary-subject")
				a.text = strings.ReplaceAll(a.text, "canary-subject", "")
			}
			answers[name+" at "+s.name] = a
		}
	}
	canaries["a cookie"], canaries["a header"], canaries["a token's id"] = "canary-cookie", "canary-header", "canary-good-0"
	written := p.written(t)
	for what, canary := range canaries {
		for where, text := range written {
			if strings.Contains(text, canary) {
				t.Errorf("%s stands in the %s", what, where)
			}
		}
		for at, a := range answers {
			if strings.Contains(a.text, canary) && (what != "a token's id" || a.verdict != allow) {
				t.Errorf("%s stands in the answer of %s: %s", what, at, a.text)
			}
		}
	}
	// What was looked through is there.
	if told == 0 || len(p.spans.Ended()) < len(answers) || len(p.log.decisions(t)) < len(answers) || !strings.Contains(written["metrics"], "introspection_") {
		t.Errorf("too little was written to be looked through: %d subjects, %d spans, %d lines", told, len(p.spans.Ended()), len(p.log.decisions(t)))
	}
}
