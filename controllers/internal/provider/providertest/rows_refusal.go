// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"net/http"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

func refusalRows() map[string]row {
	return map[string]row{
		"sign-in-bad": {
			reason: "a refused sign-in is told from everything else, and is never an absence",
			lacks:  noSignIn, test: testBadSignIn, instead: saysOpen,
		},
		"right-missing": {reason: "a missing right is told from a refused sign-in", test: testPowerless},
		"server-trouble": {
			reason: "a server in trouble is told from one that does not answer, and both from a refusal", test: testTroubleKinds,
		},
		"never-absent": {reason: "whatever befalls all calls: what is there is never reported absent, or deleted", test: testNeverAbsent},
		"access-lost": {
			reason: "a registration that is there and refuses us is told from one that is gone", lacks: noDeeds, test: testAccessLost, instead: saysRefused,
		},
		"proof": {
			reason: "nobody's word but the server's makes a registration absent: a proof that fails proves nothing", test: testProof,
		},
	}
}

func noSignIn(s *suite) string {
	if !s.h.Config.SignIn.IsClient() && s.h.Config.SignIn.InitialAccessToken == "" {
		return "whoever comes may register"
	}
	return ""
}

func saysOpen(b *bench) {
	if _, err := b.session().Probe(b.t.Context()); err != nil {
		b.t.Errorf("Probe: %v", err)
	}
}

// wrong is a sign-in that the server refuses.
func wrong(s provider.SignIn) provider.SignIn {
	switch {
	case s.InitialAccessToken != "":
		s.InitialAccessToken = "wrong-" + provider.Secret(random())
	case s.Assertion != nil:
		s.Assertion = func(context.Context) (provider.Secret, error) { return "eyJhbGciOiJub25lIn0.e30.d3Jvbmc", nil }
	default:
		s.Secret = "wrong-" + provider.Secret(random())
	}
	return s
}

func testBadSignIn(b *bench) {
	c := b.created("")
	observed := b.observe(c)
	observed.Drift = []string{provider.DriftSecret}
	s := b.openAs(b.t, wrong(b.h.Config.SignIn), nil, nil)
	report, err := s.Probe(b.t.Context())
	err = b.checked(b.t, c, err)
	if !b.byServer() || err != nil {
		b.wantKind(err, provider.KindCredentials)
	} else if report.Rights != provider.RightsUnknown { // it shows at the first registration, it may say
		b.t.Errorf("Probe: the rights are %s", report.Rights)
	}
	b.wantKind(b.doIn(s, b.caller(".new"), create), provider.KindCredentials)
	acts := map[string]act{
		"Observe": func(ctx context.Context, s provider.Server, c *Caller) error {
			got, err := s.Observe(ctx, c.Desired(), c)
			if err == nil && !got.Exists {
				b.t.Error("Observe reported it absent")
			}
			return err
		},
		"Update": func(ctx context.Context, s provider.Server, c *Caller) error {
			_, err := s.Update(ctx, c.Desired(), observed, c)
			return err
		},
		"Rotate": rotate, "MapAudience": mapAudience,
	}
	if b.maps(provider.AudienceDefault) {
		c.Change(func(d *provider.Desired) {
			d.Audience.Mode, d.Audience.TokenClients = provider.AudienceDefault, []string{b.first().ID}
		})
	}
	for name, what := range acts {
		err := b.doIn(s, c, what)
		if err == nil && b.byServer() {
			continue // a registration has an access of its own there
		}
		if kind, ok := provider.KindOf(err); !ok || kind != provider.KindCredentials {
			b.t.Errorf("%s: %v, want one of kind %d", name, err, provider.KindCredentials)
		}
	}
	if !b.byServer() {
		b.wantKind(b.doIn(s, c, remove), provider.KindCredentials)
	}
	b.wantWell(c)
}

func testPowerless(b *bench) {
	if b.h.Powerless == nil {
		b.cannot("the harness has no sign-in that lacks the right to register")
		return
	}
	s := b.openAs(b.t, *b.h.Powerless, nil, nil)
	c := b.caller("")
	b.wantKind(b.doIn(s, c, create), provider.KindForbidden)
	report, err := s.Probe(b.t.Context())
	err = b.checked(b.t, c, err)
	if err == nil && report.Rights == provider.RightsManage {
		b.t.Error("Probe says that it may manage clients")
	}
	if err != nil {
		b.wantKind(err, provider.KindForbidden)
	}
	if b.count(c) != 0 {
		b.t.Error("it was registered all the same")
	}
}

func testTroubleKinds(b *bench) {
	c := b.created("")
	all := troubles()
	for name, want := range map[string]provider.Kind{
		"500": provider.KindServer, "502 HTML": provider.KindServer, "connection refused": provider.KindUnreachable,
		"call lost": provider.KindUnreachable, "429": provider.KindRateLimited, "503": provider.KindRateLimited,
		"302": provider.KindServer,
	} {
		b.sub(name, func(b *bench) {
			x := &troubled{suite: b.suite, nth: every, trouble: all[name]}
			s := b.open(b.t, nil, x.around)
			_, err := s.Observe(b.t.Context(), c.Desired(), c)
			err = b.checked(b.t, c, err)
			if err != nil || !b.byServer() || b.caps.Read == provider.Supported { // or there was nothing to ask
				b.wantKind(err, want)
				b.wantWait(err, x.trouble)
			}
			_, err = s.Probe(b.t.Context())
			err = b.checked(b.t, c, err)
			if err == nil && b.byServer() && x.trouble.status >= http.StatusInternalServerError {
				return // its own call is one that a server may stumble over
			}
			b.wantKind(err, want)
			b.wantWait(err, x.trouble)
		})
	}
}

// wantWait checks that an error says how long the server asked to wait.
func (b *bench) wantWait(err error, f trouble) {
	b.t.Helper()
	kind, ok := provider.KindOf(err)
	if f.header["Retry-After"] == "" || !ok || kind == provider.KindAmbiguous {
		return
	}
	e := b.wantError(err, provider.KindRateLimited)
	if e.RetryAfter > askedToWait || e.RetryAfter < askedToWait/2 {
		b.t.Errorf("%v: it says to wait %s, the server said %s", err, e.RetryAfter, askedToWait)
	}
}

func testNeverAbsent(b *bench) {
	c := b.mappedIfPossible()
	for name, f := range b.troubles() {
		b.sub(name, func(b *bench) {
			if f.done {
				return // the server's own work may be a deletion
			}
			x := &troubled{suite: b.suite, nth: every, trouble: f}
			s := b.open(b.t, nil, x.around)
			got, err := s.Observe(b.t.Context(), c.Desired(), c)
			err = b.checked(b.t, c, err)
			if err == nil && !got.Exists {
				b.t.Error("Observe reported it absent")
			}
			if err := b.doIn(s, c, remove); err == nil {
				b.t.Error("Delete succeeded, and the server had done nothing")
			}
		})
	}
	b.wantWell(c)
	b.wantAccepted(c, c.Current(), true)
}

func noDeeds(s *suite) string {
	if !s.byServer() {
		return "access to a registration is the operator's own sign-in"
	}
	return noRead(s)
}

func testAccessLost(b *bench) {
	c := b.created("")
	for _, name := range []string{"401", "403"} {
		x := &troubled{suite: b.suite, nth: every, trouble: troubles()[name]}
		s := b.open(b.t, nil, x.around)
		_, err := s.Observe(b.t.Context(), c.Desired(), c)
		err = b.checked(b.t, c, err)
		b.wantKind(err, provider.KindAccessLost)
		err = b.doIn(s, c, remove)
		if kind, _ := provider.KindOf(err); name == "403" && kind == provider.KindForbidden {
			continue // a deletion that a server does not allow (RFC 7592 section 2.3)
		}
		b.wantKind(err, provider.KindAccessLost)
	}
	b.wantWell(c)
	b.forbidden(c)
}

// saysRefused: a sign-in that is refused at every call is refused, and a right that lacks at every call lacks.
func saysRefused(b *bench) {
	if b.byServer() {
		saysUnread(b)
		return
	}
	c := b.created("")
	for name, want := range map[string]provider.Kind{"401": provider.KindCredentials, "403": provider.KindForbidden} {
		x := &troubled{suite: b.suite, nth: every, trouble: troubles()[name]}
		_, err := b.open(b.t, nil, x.around).Observe(b.t.Context(), c.Desired(), c)
		err = b.checked(b.t, c, err)
		b.wantKind(err, want)
	}
}
