// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package providertest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/providertest"
)

// mutantVariable tells a copy of the test which mutant it is to run the suite on.
const mutantVariable = "SUITE_TEST_MUTANT"

// mutant is a provider that breaks one promise.
type mutant struct {
	// row is where the suite must see it.
	row     string
	corrupt func(broken) broken
	// at names the server.
	at string
}

// broken is a provider with some of its methods replaced.
type broken struct {
	provider.Server

	observe  func(context.Context, provider.Desired, provider.Caller) (provider.Observation, error)
	create   func(context.Context, provider.Desired, provider.Caller) (provider.Registration, error)
	update   func(context.Context, provider.Desired, provider.Observation, provider.Caller) (provider.Registration, error)
	remove   func(context.Context, provider.Desired, provider.Caller) error
	audience func(context.Context, provider.Desired, provider.Caller) (provider.AudienceReport, error)
	rotate   func(context.Context, provider.Desired, provider.Caller) (provider.Rotation, error)
	adopt    func(context.Context, provider.Desired, provider.Caller) (provider.Registration, error)
}

func (b broken) Observe(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Observation, error) {
	return b.observe(ctx, d, c)
}

func (b broken) Create(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
	return b.create(ctx, d, c)
}

func (b broken) Update(ctx context.Context, d provider.Desired, o provider.Observation, c provider.Caller) (provider.Registration, error) {
	return b.update(ctx, d, o, c)
}

func (b broken) Delete(ctx context.Context, d provider.Desired, c provider.Caller) error {
	return b.remove(ctx, d, c)
}

func (b broken) Adopt(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Registration, error) {
	return b.adopt(ctx, d, c)
}

func (b broken) MapAudience(ctx context.Context, d provider.Desired, c provider.Caller) (provider.AudienceReport, error) {
	return b.audience(ctx, d, c)
}

func (b broken) Rotate(ctx context.Context, d provider.Desired, c provider.Caller) (provider.Rotation, error) {
	return b.rotate(ctx, d, c)
}

// TestSuiteCanFail runs the suite on mutants, each in a process of its own: a suite that passes whatever a
// provider does is worth nothing.
func TestSuiteCanFail(t *testing.T) {
	if name := os.Getenv(mutantVariable); name != "" {
		runMutant(t, name)
		return
	}
	all := mutants()
	rows := map[string][]string{}
	for name, m := range all {
		rows[m.at] = append(rows[m.at], m.row)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := rerun(t, name, m.row)
			if failed := strings.Contains(out, "--- FAIL: TestSuiteCanFail/"+m.row); err == nil || !failed {
				t.Errorf("the row %s did not see it: %v\n%s", m.row, err, out)
			}
		})
	}
	delete(rows, stubborn) // it has no control
	for at, rows := range rows {
		t.Run(sound+at, func(t *testing.T) {
			t.Parallel()
			if out, err := rerun(t, sound+at, rows...); err != nil || !strings.Contains(out, "--- PASS: TestSuiteCanFail/"+rows[0]) {
				t.Errorf("the suite fails without a reason: %v\n%s", err, out)
			}
		})
	}
}

func runMutant(t *testing.T, name string) {
	t.Helper()
	if at, ok := strings.CutPrefix(name, sound); ok {
		providertest.Run(t, servers()[at](t))
		return
	}
	m := mutants()[name]
	h := servers()[m.at](t)
	h.Dialect = tampered(h.Dialect, m.corrupt)
	providertest.Run(t, h)
}

// sound begins the name of a dialect that nobody tampered with: the control of the mutants at its server.
const sound = "sound at "

// rerun runs some rows on a mutant.
func rerun(t *testing.T, name string, rows ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSuiteCanFail$/^("+strings.Join(rows, "|")+"|learn)$", "-test.v")
	cmd.Env = append(os.Environ(), mutantVariable+"="+name)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tampered is a dialect whose sessions are corrupted.
func tampered(d provider.Dialect, corrupt func(broken) broken) provider.Dialect {
	open := d.New
	d.New = func(config provider.Config) (provider.Server, error) {
		s, err := open(config)
		if err != nil {
			return nil, err
		}
		return corrupt(broken{
			Server: s, observe: s.Observe, create: s.Create, update: s.Update, remove: s.Delete, audience: s.MapAudience, rotate: s.Rotate, adopt: s.Adopt,
		}), nil
	}
	return d
}
