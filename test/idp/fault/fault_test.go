// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// world is a server that counts the work it does.
type world struct {
	*fault.Handler

	url  string
	work atomic.Int64
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.Handler = fault.Wrap(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.work.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusCreated)
		_, _ = rw.Write([]byte(`{"said":"` + string(body) + `"}`))
	}))
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

// answer is what a caller saw.
type answer struct {
	Lost        bool
	Status      int
	Body        string
	ContentType string
	RetryAfter  string
}

func (w *world) post(ctx context.Context, t *testing.T, path string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+path, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return answer{Lost: true}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{
		Status: resp.StatusCode, Body: string(body),
		ContentType: resp.Header.Get("Content-Type"), RetryAfter: resp.Header.Get("Retry-After"),
	}
}

func TestFaults(t *testing.T) {
	done := answer{Status: http.StatusCreated, Body: `{"said":"hello"}`, ContentType: "application/json"}
	tests := map[string]struct {
		reason string
		fault  fault.Fault
		want   []answer
		work   int64
	}{
		"Zero": {
			reason: "The zero value changes nothing.",
			want:   []answer{done, done}, work: 2,
		},
		"DroppedAfterTheWork": {
			reason: "The work is done, and nobody hears of it.",
			fault:  fault.Fault{Drop: true, Times: 1}, want: []answer{{Lost: true}, done}, work: 2,
		},
		"DroppedBeforeTheWork": {
			reason: "The call never arrived.",
			fault:  fault.Fault{Drop: true, Undone: true}, want: []answer{{Lost: true}}, work: 0,
		},
		"After": {
			reason: "The first call passes, the second suffers, the third passes again.",
			fault:  fault.Fault{After: 1, Times: 1, Undone: true, Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "7"}, Body: "{}"},
			want:   []answer{done, {Status: http.StatusTooManyRequests, Body: "{}", ContentType: "application/json", RetryAfter: "7"}, done}, work: 2,
		},
		"StatusAfterTheWork": {
			reason: "A proxy's page in place of the answer to work that was done.",
			fault:  fault.Fault{Status: http.StatusBadGateway, Body: fault.HTML},
			want:   []answer{{Status: http.StatusBadGateway, Body: fault.HTML, ContentType: "text/html"}}, work: 1,
		},
		"Truncate": {
			reason: "Half of the answer comes, with the status of the whole.",
			fault:  fault.Fault{Truncate: true},
			want:   []answer{{Status: http.StatusCreated, Body: `{"said":`, ContentType: "application/json"}}, work: 1,
		},
		"AnotherCall": {
			reason: "A fault that does not match is none.",
			fault:  fault.Fault{Match: fault.Matching(http.MethodGet, "/thing"), Drop: true}, want: []answer{done}, work: 1,
		},
		"AnotherPath": {
			reason: "The path is matched too.",
			fault:  fault.Fault{Match: fault.Matching("", "/other"), Drop: true}, want: []answer{done}, work: 1,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.Inject(tc.fault)
			var got []answer
			for range tc.want {
				got = append(got, w.post(t.Context(), t, "/thing"))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if work := w.work.Load(); work != tc.work {
				t.Errorf("%s The work was done %d times, want %d", tc.reason, work, tc.work)
			}
		})
	}
}

func TestRemovedFaultIsNone(t *testing.T) {
	w := start(t)
	remove := w.Inject(fault.Fault{Drop: true})
	remove()
	if got := w.post(t.Context(), t, "/thing"); got.Lost {
		t.Error("a removed fault still drops answers")
	}
}

func TestDelayEndsWithTheCaller(t *testing.T) {
	w := start(t)
	w.Inject(fault.Fault{Delay: time.Hour, Undone: true})
	worked := make(chan struct{})
	w.OnCall(func(fault.Call) { close(worked) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got := w.post(ctx, t, "/thing"); !got.Lost || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("a call that is delayed by an hour was answered: %+v", got)
	}
	<-worked // or the test never ends
}

func TestCallsAreRemembered(t *testing.T) {
	w := start(t)
	w.Inject(fault.Fault{After: 1, Drop: true})
	heard := make(chan string, 2)
	w.OnCall(func(c fault.Call) { heard <- c.String() })
	w.post(t.Context(), t, "/a%2Fb?x=1")
	w.post(t.Context(), t, "/c")
	type seen struct {
		What, X, Body string
		Status        int
	}
	var got []seen
	for _, c := range w.Calls() {
		got = append(got, seen{What: c.String(), X: c.Query.Get("x"), Body: c.Body, Status: c.Status})
	}
	want := []seen{{What: "POST /a/b", X: "1", Body: "hello", Status: http.StatusCreated}, {What: "POST /c", Body: "hello"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"POST /a/b", "POST /c"}, []string{<-heard, <-heard}); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}
