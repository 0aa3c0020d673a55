// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/introspection-dev/introspection-operator/webhook"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
)

// described is a registry that remembers what is registered: a vector without a series is
// not gathered.
type described struct {
	*prometheus.Registry

	labels map[string][]string // by metric
}

var description = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)

func (d *described) Register(c prometheus.Collector) error {
	descriptions := make(chan *prometheus.Desc, 100)
	c.Describe(descriptions)
	close(descriptions)
	for desc := range descriptions {
		found := description.FindStringSubmatch(desc.String())
		if found == nil {
			return errors.New("a description of another form: " + desc.String())
		}
		d.labels[found[1]] = strings.FieldsFunc(found[2], func(r rune) bool { return r == ',' })
	}
	return d.Registry.Register(c)
}

// MustRegister is Register.
func (d *described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := d.Register(c); err != nil {
			panic(err)
		}
	}
}

// webhookMetrics are all that the webhook's process has of its own.
func webhookMetrics(t *testing.T) map[string][]string {
	t.Helper()
	registry := &described{Registry: prometheus.NewRegistry(), labels: map[string][]string{}}
	log := slog.New(slog.DiscardHandler)
	decider, err := engine.New(engine.Options{Clock: clock.RealClock{}.Now, Registerer: registry, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(decider.Close)
	config, err := webhook.ParseConfig([]byte("gateways: []"))
	if err != nil {
		t.Fatal(err)
	}
	const anywhere = "127.0.0.1:0"
	_, err = webhook.New(webhook.Options{
		Engine: decider, Config: config, Registerer: registry, Logger: log,
		IntrospectionAddr: anywhere, ForwardAuthAddr: anywhere, ExtAuthzAddr: anywhere, TokenReviewAddr: anywhere,
		Certificates: func() (*tls.Certificate, error) { return nil, errors.New("none") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return registry.labels
}

var (
	ownMetric = regexp.MustCompile(`introspection_webhook_[a-z_]+`)
	selection = regexp.MustCompile(`(introspection_webhook_[a-z_]+)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`([a-z_]+) *(?:=~|!=|!~|=)`)
	grouping  = regexp.MustCompile(`by \(([^)]*)\)`)
)

// Labels that Prometheus itself gives, and a histogram's.
var given = []string{"pod", "job", "namespace", "le"}

func TestMetricsThatAreLookedAtExist(t *testing.T) {
	t.Parallel()
	labels := webhookMetrics(t)
	if len(labels) < 10 {
		t.Fatalf("%d metrics: what is below proves nothing", len(labels))
	}
	of := func(name string) ([]string, bool) {
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			if found, ok := labels[strings.TrimSuffix(name, suffix)]; ok {
				return found, true
			}
		}
		return nil, false
	}
	anyLabel := slices.Concat(slices.Concat(slices.Collect(maps.Values(labels))...), given)
	for _, path := range []string{
		"../../config/prometheus/rules.yaml", "../../config/prometheus/dashboards/introspection.json",
		"../../charts/introspection-operator/templates/prometheus-rule.yaml", "../../docs/operations.md",
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(content), `\"`, `"`)
			names := ownMetric.FindAllString(text, -1)
			if len(names) < 5 {
				t.Fatalf("%d metrics are named: the expression does not find them", len(names))
			}
			for _, name := range names {
				if _, ok := of(name); !ok {
					t.Errorf("the webhook has no metric %s", name)
				}
			}
			for _, found := range selection.FindAllStringSubmatch(text, -1) {
				have, _ := of(found[1])
				for _, label := range matcher.FindAllStringSubmatch(found[2], -1) {
					if !slices.Contains(have, label[1]) {
						t.Errorf("%s has no label %s, but %q", found[1], label[1], have)
					}
				}
			}
			for _, found := range grouping.FindAllStringSubmatch(text, -1) {
				for label := range strings.SplitSeq(found[1], ",") {
					if label = strings.TrimSpace(label); !slices.Contains(anyLabel, label) && label != "controller" {
						t.Errorf("no metric has a label %s", label)
					}
				}
			}
		})
	}
}

// TestMetricsAreDocumented: what is not explained is not looked at.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range webhookMetrics(t) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/operations.md does not explain %s", name)
		}
	}
}
