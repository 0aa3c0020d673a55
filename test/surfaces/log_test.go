// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

// lines is a log that goroutines share.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
	// read is how much of it was, and said what that says, by id.
	read int
	said map[string][]line
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// line is what an audit line says.
type line struct {
	ID      string `json:"id"`
	Surface string `json:"surface"`
	Policy  string `json:"policy"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Gateway string `json:"gateway"`
	Client  string `json:"client"`
}

// decisions are the audit lines, by id.
func (l *lines) decisions(t *testing.T) map[string][]line {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil {
		l.said = map[string][]line{}
	}
	for text := range strings.Lines(string(l.b.Bytes()[l.read:])) {
		var one struct {
			line

			Msg string `json:"msg"`
		}
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			t.Fatalf("the log has a line that is no JSON: %s", text)
		}
		if one.Msg == "decision" {
			l.said[one.ID] = append(l.said[one.ID], one.line)
		}
	}
	l.read = l.b.Len()
	return l.said
}
