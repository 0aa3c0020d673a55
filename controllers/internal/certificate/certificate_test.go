// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// must rolls and demands no error.
func must(t *testing.T, a Authority, now time.Time) (Authority, bool) {
	t.Helper()
	got, changed, err := Roll(a, now)
	if err != nil {
		t.Fatalf("Roll: %v", err)
	}
	return got, changed
}

func verifies(t *testing.T, bundle []byte, serving Pair, host string, now time.Time) error {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	block, _ := pem.Decode(serving.Certificate)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: host, CurrentTime: now})
	return err
}

// A caller holds the bundle that it mounted at some time, and the webhook serves a
// certificate of the same time: over eight years of daily looks, a bundle that is
// at most a day old verifies every certificate.
func TestRolledWithoutAGap(t *testing.T) {
	names := []string{"webhook.introspection.svc", "127.0.0.1"}
	authority, changed := must(t, Authority{}, start)
	if !changed {
		t.Fatal("the first authority is a change")
	}
	serving, err := Serve(authority, names, start)
	if err != nil {
		t.Fatal(err)
	}
	bundles := [][]byte{authority.Bundle}
	rolled := 0
	for now := start; now.Before(start.AddDate(8, 0, 0)); now = now.Add(24 * time.Hour) {
		signer := string(authority.Current.Certificate)
		authority, _ = must(t, authority, now)
		if string(authority.Current.Certificate) != signer {
			rolled++
		}
		if NeedsServing(serving, authority, names, now) {
			if serving, err = Serve(authority, names, now); err != nil {
				t.Fatal(err)
			}
		}
		bundles = append(bundles, authority.Bundle)
		yesterday := bundles[max(0, len(bundles)-2)]
		for _, host := range names {
			if err := verifies(t, yesterday, serving, host, now); err != nil {
				t.Fatalf("at %s, with the bundle of a day before: %v", now, err)
			}
		}
	}
	if rolled == 0 {
		t.Error("the authority was never rolled in eight years")
	}
}

func TestRollChangesNothingWithoutReason(t *testing.T) {
	authority, _ := must(t, Authority{}, start)
	if _, changed := must(t, authority, start.Add(time.Hour)); changed {
		t.Error("an hour later there is nothing to do, and it was written")
	}
}

func TestRollMendsWhatIsBroken(t *testing.T) {
	authority, _ := must(t, Authority{}, start)
	for name, tc := range map[string]struct {
		reason string
		broken func(Authority) Authority
		resign bool
	}{
		"no bundle": {"somebody deleted the bundle: it is made of the certificates again", func(a Authority) Authority { a.Bundle = nil; return a }, false},
		"no key":    {"without its key an authority can sign nothing: a new one", func(a Authority) Authority { a.Current.Key = nil; return a }, true},
		"another's key": {"a key of another certificate signs what nobody trusts", func(a Authority) Authority {
			other, _ := must(t, Authority{}, start)
			a.Current.Key = other.Current.Key
			return a
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, changed := must(t, tc.broken(authority), start.Add(time.Hour))
			if !changed || len(got.Bundle) == 0 {
				t.Errorf("%s: changed %t, a bundle of %d bytes", tc.reason, changed, len(got.Bundle))
			}
			if resigned := string(got.Current.Certificate) != string(authority.Current.Certificate); resigned != tc.resign {
				t.Errorf("%s: a new authority: %t", tc.reason, resigned)
			}
		})
	}
}

func TestNeedsServing(t *testing.T) {
	authority, _ := must(t, Authority{}, start)
	other, _ := must(t, Authority{}, start)
	names := []string{"webhook.introspection.svc"}
	pair, err := Serve(authority, names, start)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason    string
		pair      Pair
		authority Authority
		names     []string
		at        time.Duration
		want      bool
	}{
		"fresh":            {"just signed", pair, authority, names, time.Hour, false},
		"none":             {"there is none", Pair{}, authority, names, 0, true},
		"due":              {"past two thirds of its life", pair, authority, names, 61 * 24 * time.Hour, true},
		"another name":     {"the webhook's address changed", pair, authority, []string{"auth.example.com"}, time.Hour, true},
		"another signer":   {"signed by an authority that is no more", pair, other, names, time.Hour, true},
		"key does not fit": {"a key of another certificate", Pair{pair.Certificate, other.Current.Key}, authority, names, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := NeedsServing(tc.pair, tc.authority, tc.names, start.Add(tc.at)); got != tc.want {
				t.Errorf("%s: got %t", tc.reason, got)
			}
		})
	}
}
