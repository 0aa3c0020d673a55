// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server/extauthz"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// seen is what a user is answered.
type seen struct {
	Code      codes.Code
	Status    int
	Challenge string
	Body      string
}

// refusedBy is the answer of a denied response, or of an error response; an allow, and
// what Envoy would take for one, fails.
func refusedBy(tb testing.TB, response *authv3.CheckResponse) seen {
	tb.Helper()
	answer := response.GetDeniedResponse()
	if answer == nil {
		answer = response.GetErrorResponse()
	}
	if response.GetStatus().GetCode() == 0 || response.GetOkResponse() != nil || answer == nil {
		tb.Fatalf("Envoy takes it for an allow: %v", response)
	}
	headers := headersOf(tb, answer.GetHeaders())
	if len(headers["Introspection-Decision"]) != 16 || headers["cache-control"] != "no-store" {
		tb.Errorf("the user is answered with %v", headers)
	}
	return seen{
		Code: codes.Code(response.GetStatus().GetCode()), Status: int(answer.GetStatus().GetCode()),
		Challenge: headers["www-authenticate"], Body: answer.GetBody(),
	}
}

// TestDeny: 401 or 403, with the challenge.
func TestDeny(t *testing.T) {
	cases := map[string]struct {
		reason   string
		decision token.Decision
		want     seen
	}{
		"zero": {
			"the zero Decision is a refusal",
			token.Decision{},
			seen{Code: codes.Unauthenticated, Status: 401, Challenge: `Bearer error="invalid_token"`},
		},
		"none": {
			"who sent nothing is told nothing",
			token.Decision{Reason: token.ReasonMissingToken, Message: "The request carries no token."},
			seen{Code: codes.Unauthenticated, Status: 401, Challenge: `Bearer realm="introspection"`},
		},
		"scope": {
			"403",
			token.Decision{
				Reason: token.ReasonInsufficientScope, Message: "It lacks a scope.", Challenge: token.Challenge{Scope: "orders.read"},
			},
			seen{
				Code: codes.PermissionDenied, Status: 403,
				Challenge: `Bearer error="insufficient_scope", error_description="It lacks a scope.", scope="orders.read"`,
			},
		},
		"headers of a refusal": {
			"no identity goes anywhere",
			token.Decision{Reason: token.ReasonExpired, Message: "It is expired.", Headers: alice().Headers},
			seen{Code: codes.Unauthenticated, Status: 401, Challenge: `Bearer error="invalid_token", error_description="It is expired."`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, always(c.decision, nil), nil)
			response := f.check(t, question("authorization", "Bearer alice"))
			if diff := cmp.Diff(c.want, refusedBy(t, response)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if len(response.GetDeniedResponse().GetHeaders()) != 3 {
				t.Errorf("%s: answered with %v", c.reason, response.GetDeniedResponse().GetHeaders())
			}
		})
	}
}

// TestUndecided: whatever fails is denied with 503, and never the zero CheckResponse,
// which is an allow.
func TestUndecided(t *testing.T) {
	undecided := func(reason token.Reason, message string) seen {
		return seen{Code: codes.Unavailable, Status: http.StatusServiceUnavailable, Body: string(reason) + ": " + message + "\n"}
	}
	internal := undecided(token.ReasonInternal, "A fault of the webhook: its log says more.")
	allow := func(headers ...token.Header) *engine {
		return always(token.Decision{Verdict: token.Allow, Headers: headers}, nil)
	}
	cases := map[string]struct {
		reason string
		engine *engine
		want   seen
	}{
		"outage": {
			"the server gave no verdict",
			always(alice(), &token.Undecided{Reason: token.ReasonServerUnavailable, Message: "Try again."}),
			undecided(token.ReasonServerUnavailable, "Try again."),
		},
		"other error": {"not one of the engine's", always(alice(), errors.New("oops")), internal},
		"not UTF-8":   {"an answer that gRPC would not encode", always(alice(), &token.Undecided{Reason: token.ReasonInternal, Message: "\xff"}), undecided(token.ReasonInternal, "?")},
		"panic":       {"a fault of ours", &engine{decide: func(context.Context, token.Request) (token.Decision, error) { panic("Bearer alice") }}, internal},
		"panic, nil": {"a fault of ours", &engine{decide: func(context.Context, token.Request) (token.Decision, error) {
			var m map[string]int
			m["x"] = 1 //nolint:staticcheck // this is the panic
			return alice(), nil
		}}, internal},
		"raw value":    {"a byte that would be changed on its way", allow(token.Header{Name: "X-Auth-Subject", Value: "al\xffce"}), internal},
		"line break":   {"another header", allow(token.Header{Name: "X-Auth-Subject", Value: "alice\r\nX-Auth-Role: root"}), internal},
		"raw name":     {"another header", allow(token.Header{Name: "X-Auth\n", Value: "alice"}), internal},
		"long headers": {"longer than Envoy takes", allow(token.Header{Name: "X-Auth-Subject", Value: strings.Repeat("x", 60<<10)}), undecided(token.ReasonResponseTooLarge, "The identity headers of this token are longer than the 60 KB that Envoy takes: list fewer claims in the policy's spec.respond.headers.")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := serve(t, c.engine, nil)
			if diff := cmp.Diff(c.want, refusedBy(t, f.check(t, question("authorization", "Bearer alice")))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if strings.Contains(f.log.String(), "Bearer alice") {
				t.Errorf("%s: the token is in the log:\n%s", c.reason, f.log)
			}
			if diff := cmp.Diff(map[string]float64{"503": 1}, f.answers(t)); diff != "" {
				t.Errorf("%s: counted (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestErrorResponse: by option, what nobody could tell is an error; a refusal is none.
func TestErrorResponse(t *testing.T) {
	e := always(token.Decision{}, &token.Undecided{Reason: token.ReasonServerUnavailable, Message: "Try again."})
	f := serve(t, e, func(o *extauthz.Options) { o.ErrorResponse = true })
	response := f.check(t, question("authorization", "Bearer alice"))
	want := seen{Code: codes.Unavailable, Status: 503, Body: "server_unavailable: Try again.\n"}
	if diff := cmp.Diff(want, refusedBy(t, response)); diff != "" || response.GetErrorResponse() == nil {
		t.Errorf("an outage (-want +got):\n%s%v", diff, response)
	}
	e.decide = func(context.Context, token.Request) (token.Decision, error) { return token.Decision{}, nil }
	if response := f.check(t, question("authorization", "Bearer alice")); response.GetDeniedResponse() == nil {
		t.Errorf("a refusal is answered as %v", response)
	}
}

// TestAuthorino649: an allow that comes after the deadline is none.
func TestAuthorino649(t *testing.T) {
	late := &engine{decide: func(ctx context.Context, _ token.Request) (token.Decision, error) {
		<-ctx.Done()
		return alice(), nil
	}}
	f := serve(t, late, func(o *extauthz.Options) { o.RequestTimeout = 20 * time.Millisecond })
	want := seen{Code: codes.Unavailable, Status: 503, Body: "server_unavailable: There was no answer in time: try again.\n"}
	if diff := cmp.Diff(want, refusedBy(t, f.check(t, question("authorization", "Bearer alice")))); diff != "" {
		t.Errorf("without a deadline of the gateway (-want +got):\n%s", diff)
	}
}

// TestOverloaded: beyond the limit an answer comes at once.
func TestOverloaded(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	e := &engine{decide: func(context.Context, token.Request) (token.Decision, error) {
		entered <- struct{}{}
		<-release
		return alice(), nil
	}}
	f := serve(t, e, func(o *extauthz.Options) { o.MaxConcurrent = 1 })
	client := authv3.NewAuthorizationClient(f.dial(t, "envoy.edge.svc"))
	first := make(chan *authv3.CheckResponse, 1)
	go func() {
		response, err := client.Check(context.Background(), question("authorization", "Bearer alice"))
		if err != nil {
			t.Error(err)
		}
		first <- response
	}()
	<-entered
	second := refusedBy(t, f.check(t, question("authorization", "Bearer alice")))
	close(release)
	if !strings.HasPrefix(second.Body, "overloaded: ") || second.Status != http.StatusServiceUnavailable {
		t.Errorf("answered %+v", second)
	}
	if response := <-first; response.GetOkResponse() == nil {
		t.Errorf("the first is answered %v", response)
	}
}
