// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers"
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

// ownMetrics are what the two processes have of their own.
func ownMetrics(t *testing.T) map[string][]string {
	t.Helper()
	registry := &described{Registry: prometheus.NewRegistry(), labels: map[string][]string{}}
	addWebhookMetrics(t, registry)
	addControllerMetrics(t, registry)
	return registry.labels
}

// addControllerMetrics sets the control plane up in a manager that is never started, and asks nobody.
func addControllerMetrics(t *testing.T, registry *described) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(&rest.Config{Host: "https://nobody.invalid"}, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: new(true)},
		NewCache: func(*rest.Config, cache.Options) (cache.Cache, error) {
			return &informertest.FakeInformers{Scheme: scheme}, nil
		},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return meta.NewDefaultRESTMapper(nil), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := controllers.Setup(t.Context(), mgr, controllers.Config{
		SystemNamespace: "introspection-system", WebhookNamespace: "introspection", DriftInterval: time.Minute, Workers: 1,
		Registerer: registry, Clock: clock.RealClock{},
	}); err != nil {
		t.Fatal(err)
	}
}

func addWebhookMetrics(t *testing.T, registry *described) {
	t.Helper()
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
}

var (
	ownMetric = regexp.MustCompile(`introspection_(?:webhook|controller)_[a-z_]+`)
	selection = regexp.MustCompile(`(introspection_(?:webhook|controller)_[a-z_]+)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`([a-z_]+) *(?:=~|!=|!~|=)`)
	grouping  = regexp.MustCompile(`by \(([^)]*)\)`)
)

// Labels that Prometheus itself gives, and a histogram's.
var given = []string{"pod", "job", "namespace", "le"}

func TestMetricsThatAreLookedAtExist(t *testing.T) {
	t.Parallel()
	labels := ownMetrics(t)
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
					t.Errorf("there is no metric %s", name)
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
	for name := range ownMetrics(t) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/operations.md does not explain %s", name)
		}
	}
}
