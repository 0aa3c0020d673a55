// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/duende"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// orders is a registration as it should be.
func orders() provider.Desired {
	return provider.Desired{
		Identity:    provider.Identity{ClientID: "orders-api", Owner: "cluster-1/shop/orders-api"},
		DisplayName: "Orders", Scopes: []string{"orders.read"},
		Credentials: provider.Credentials{Current: provider.Credential{Method: provider.ClientSecret, ID: "k1", Secret: "a plain secret"}},
		Audience:    provider.Audience{Mode: provider.AudienceDefault},
	}
}

// said is of an error what callers go by.
type said struct {
	Kind    provider.Kind
	Subject string
	Advice  string // a part of it
}

func wantSaid(t *testing.T, reason string, err error, want said) {
	t.Helper()
	e, ok := errors.AsType[*provider.Error](err)
	if !ok {
		t.Fatalf("%s error %v, want a provider's", reason, err)
	}
	got := said{Kind: e.Kind, Subject: e.Subject}
	if strings.Contains(e.Advice, want.Advice) && (want.Advice != "" || e.Advice == "") {
		got.Advice = want.Advice
	} else {
		got.Advice = e.Advice
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s %v (-want +got):\n%s", reason, err, diff)
	}
}

func TestWhatAnswersMean(t *testing.T) {
	get, put := fault.Matching(http.MethodGet, "/connect/introspection-resources"), fault.Matching(http.MethodPut, "/connect/introspection-resources")
	tests := map[string]struct {
		reason string
		fault  fault.Fault
		want   said
	}{
		"NoFile": {
			reason: "A host without the file answers 404 and not a word: that is no absence.",
			fault:  fault.Fault{Match: get, Status: http.StatusNotFound}, want: said{Kind: provider.KindNotFound, Advice: "Is IntrospectionRegistration.cs in the host"},
		},
		"Page": {
			reason: "Nor is a web page.",
			fault:  fault.Fault{Match: get, Status: http.StatusNotFound, Body: fault.HTML}, want: said{Kind: provider.KindNotFound, Advice: "mapped at the path"},
		},
		"AnotherJSON": {
			reason: "Nor is a gateway's JSON.",
			fault:  fault.Fault{Match: get, Status: http.StatusNotFound, Body: `{"message":"no Route matched"}`}, want: said{Kind: provider.KindNotFound, Advice: "mapped at the path"},
		},
		"NoRight": {
			reason: "403 without a word is the authorization policy's.",
			fault:  fault.Fault{Match: get, Status: http.StatusForbidden}, want: said{Kind: provider.KindForbidden, Advice: "Give the operator's client the scope introspection.register."},
		},
		"Firewall": {
			reason: "403 with a page is somebody else's, and another right would not help.",
			fault:  fault.Fault{Match: get, Status: http.StatusForbidden, Body: fault.HTML}, want: said{Kind: provider.KindForbidden},
		},
		"TokenRefused": {
			reason: "A token that the same server gave is refused: it is not the same, or goes by another name.",
			fault:  fault.Fault{Match: get, Status: http.StatusUnauthorized}, want: said{Kind: provider.KindCredentials, Advice: "spec.connection.hostHeader"},
		},
		"ScopeNotAllowed": {
			reason: "The host's list of scopes is what to change, not the operator's rights.",
			fault:  fault.Fault{Match: put, Status: http.StatusForbidden, Body: `{"error":"scope_not_allowed","error_description":"scopes that may not be registered: orders.read"}`},
			want:   said{Kind: provider.KindInvalid, Advice: "The host lets nobody register these scopes: orders.read."},
		},
		"UnknownScope": {
			reason: "A scope has to be there first.",
			fault:  fault.Fault{Match: put, Status: http.StatusBadRequest, Body: `{"error":"invalid_scope","error_description":"unknown scopes: orders.read"}`},
			want:   said{Kind: provider.KindInvalid, Advice: "The server knows no scope of this name: orders.read."},
		},
		"Conflict": {
			reason: "A parallel change is no owner's conflict.",
			fault:  fault.Fault{Match: put, Undone: true, Status: http.StatusConflict, Body: `{"error":"conflict","error_description":"changed by another call; read it again"}`},
			want:   said{Kind: provider.KindServer},
		},
		"UnknownConflict": {
			reason: "A proxy's 409 is none either.",
			fault:  fault.Fault{Match: put, Undone: true, Status: http.StatusConflict, Body: `{"error":"busy"}`},
			want:   said{Kind: provider.KindServer},
		},
		"NotOwnedAndGone": {
			reason: "It was refused as somebody's, and is gone when we look: try again.",
			fault:  fault.Fault{Match: put, Undone: true, Status: http.StatusConflict, Body: `{"error":"not_owned"}`},
			want:   said{Kind: provider.KindServer},
		},
		"SecretsChanged": {
			reason: "A secret that was there a moment ago is gone: try again.",
			fault:  fault.Fault{Match: put, Undone: true, Status: http.StatusBadRequest, Body: `{"error":"invalid_resource_metadata","error_description":"secret k1 is new and has no value"}`},
			want:   said{Kind: provider.KindServer},
		},
		"NoScopeForUs": {
			reason: "The token endpoint does not give the operator the scope.",
			fault:  fault.Fault{Match: fault.Matching("", "/connect/token"), Status: http.StatusBadRequest, Body: `{"error":"invalid_scope"}`},
			want:   said{Kind: provider.KindForbidden, Advice: "Give the operator's client the scope introspection.register."},
		},
		"SomebodyElsesResource": {
			reason: "An answer about another resource is a proxy's mistake.",
			fault:  fault.Fault{Match: put, Undone: true, Status: http.StatusOK, Body: `{"name":"billing-api","owner":"cluster-1/shop/orders-api"}`},
			want:   said{Kind: provider.KindServer},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil)
			h := harness(t, s)
			s.Inject(tc.fault)
			session := h.Open(t, nil)
			_, err := session.Observe(t.Context(), orders(), providertest.Allow)
			if err == nil {
				_, err = session.Create(t.Context(), orders(), providertest.Allow)
			}
			wantSaid(t, tc.reason, err, tc.want)
		})
	}
}

func TestProbe(t *testing.T) {
	tests := map[string]struct {
		reason string
		fault  *fault.Fault
		want   said
	}{
		"Works":  {reason: "Who may list may register."},
		"NoFile": {reason: "It says where to look.", fault: &fault.Fault{Match: fault.Matching("", "/connect/introspection-resources"), Status: http.StatusNotFound}, want: said{Kind: provider.KindNotFound, Advice: "IntrospectionRegistration.cs"}},
		"Other":  {reason: "Another service that answers JSON is not it.", fault: &fault.Fault{Match: fault.Matching("", "/connect/introspection-resources"), Status: http.StatusOK, Body: `{"status":"ok"}`}, want: said{Kind: provider.KindNotFound, Advice: "mapped at the path"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil)
			h := harness(t, s)
			if tc.fault != nil {
				s.Inject(*tc.fault)
			}
			session := h.Open(t, nil)
			report, err := session.Probe(t.Context())
			if tc.fault != nil {
				wantSaid(t, tc.reason, err, tc.want)
				return
			}
			want := provider.Report{
				Rights: provider.RightsManage, Capabilities: duende.Dialect().Capabilities,
				RegistrationURL: s.URL() + "/connect/introspection-resources",
			}
			if diff := cmp.Diff(want, report); err != nil || diff != "" {
				t.Errorf("%s error %v, report (-want +got):\n%s", tc.reason, err, diff)
			}
			if _, err := session.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
			signIns := 0
			for _, c := range s.Calls() {
				if c.Path == "/connect/token" {
					signIns++
				}
				if c.Method != http.MethodGet && c.Path != "/connect/token" {
					t.Errorf("Probe called %s", c)
				}
			}
			if signIns != 2 {
				t.Errorf("two probes signed in %d times: credentials and rights are as they are now", signIns)
			}
		})
	}
}

func TestRefusedBeforeSending(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(*provider.Desired)
		want   said
	}{
		"LongName":       {"Duende answers 401 to longer ones at introspection.", func(d *provider.Desired) { d.ClientID = strings.Repeat("n", 101) }, said{Kind: provider.KindInvalid, Advice: "at most 100"}},
		"Dots":           {"A proxy would take the segment for the folder above.", func(d *provider.Desired) { d.ClientID = ".." }, said{Kind: provider.KindInvalid, Advice: "at most 100"}},
		"LongOwner":      {"The server would refuse it.", func(d *provider.Desired) { d.Owner = strings.Repeat("o", 501) }, said{Kind: provider.KindInvalid}},
		"LongDisplay":    {"A database answers a longer one with a conflict that never ends.", func(d *provider.Desired) { d.DisplayName = strings.Repeat("d", 201) }, said{Kind: provider.KindInvalid}},
		"ServiceAccount": {"Duende knows no federated keys for an ApiResource.", func(d *provider.Desired) { d.Credentials.Current.Method = provider.ServiceAccountJWT }, said{Kind: provider.KindUnsupported, Advice: "PrivateKeyJWT"}},
		"NoSecret":       {"The hash of nothing is a hash too.", func(d *provider.Desired) { d.Credentials.Current.Secret = "" }, said{Kind: provider.KindInvalid}},
		"SameID":         {"One would overwrite the other.", func(d *provider.Desired) { d.Credentials.Previous = new(d.Credentials.Current) }, said{Kind: provider.KindInvalid}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil)
			h := harness(t, s)
			d := orders()
			tc.change(&d)
			_, err := h.Open(t, nil).Create(t.Context(), d, providertest.Allow)
			wantSaid(t, tc.reason, err, tc.want)
			for _, c := range s.Calls() {
				if c.Method == http.MethodPut {
					t.Errorf("%s It was sent all the same: %s", tc.reason, c)
				}
			}
		})
	}
}

func TestNew(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(*provider.Config)
		want   string
	}{
		"NoSignIn":           {"There are no anonymous registrations.", func(c *provider.Config) { c.SignIn = provider.SignIn{} }, "a client of its own"},
		"InitialAccessToken": {"That is RFC 7591's.", func(c *provider.Config) { c.SignIn = provider.SignIn{InitialAccessToken: "iat"} }, "a client of its own"},
		"NoURL":              {"A path alone is nowhere.", func(c *provider.Config) { c.RegistrationURL = "/connect/x" }, "no URL"},
		"Dynamic":            {"Duende's own registration makes what can't introspect.", func(c *provider.Config) { c.RegistrationURL = "https://sso.example.com/connect/dcr" }, "dynamic client registration"},
		"DynamicByMetadata": {"Wherever the host put it.", func(c *provider.Config) {
			c.RegistrationURL, c.Metadata.RegistrationEndpoint = "https://x/reg/", "https://x/reg"
		}, "dynamic client registration"},
		"NoClock": {"Time is the caller's.", func(c *provider.Config) { c.Clock = nil }, "clock"},
	}
	h := harness(t, start(t, nil))
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := h.Config
			tc.change(&c)
			if _, err := duende.Dialect().New(c); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s error %v, want %q in it", tc.reason, err, tc.want)
			}
		})
	}
}
