// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command introspection-operator is the operator's two processes: controller and
// webhook.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers"
	"github.com/introspection-dev/introspection-operator/webhook"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/tracing"
)

const usage = `introspection-operator: who may introspect OAuth tokens, and what a good token is.

Usage:
  introspection-operator controller [flags]   registers clients, writes their Secrets
  introspection-operator webhook [flags]      answers: is this token good, for this policy?

Each lists its flags with --help.
`

// defaultURL is where the webhook's Service is.
const defaultURL = "https://webhook.introspection.svc"

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

func run(args []string, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer) error{"controller": runController, "webhook": runWebhook}
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	command, ok := commands[name]
	if !ok {
		_, _ = fmt.Fprint(stderr, usage)
		if name == "help" || name == "-h" || name == "--help" {
			return 0
		}
		return 2
	}
	err := command(ctrl.SetupSignalHandler(), args[1:], stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	default:
		_, _ = fmt.Fprintf(stderr, "introspection-operator %s: %v\n", name, err)
		return 1
	}
}

// common are the flags of both processes.
type common struct {
	namespace, metricsAddress, healthAddress, logFormat, logLevel string
}

func flags(name, namespace string, stderr io.Writer) (*flag.FlagSet, *common) {
	fs := flag.NewFlagSet("introspection-operator "+name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	config.RegisterFlags(fs)
	c := &common{}
	fs.StringVar(&c.namespace, "namespace", namespace, "the namespace of this process")
	fs.StringVar(&c.metricsAddress, "metrics-bind-address", ":8080", "where metrics are served, over HTTP; 0 for nowhere")
	fs.StringVar(&c.healthAddress, "health-probe-bind-address", ":8081", "where /healthz and /readyz are served, over HTTP")
	fs.StringVar(&c.logFormat, "log-format", "json", "json or text")
	fs.StringVar(&c.logLevel, "log-level", "info", "info or debug")
	return fs, c
}

// logger logs to stderr, for us and for the libraries.
func (c *common) logger(stderr io.Writer) (*slog.Logger, error) {
	options := &slog.HandlerOptions{}
	switch c.logLevel {
	case "info":
	case "debug":
		options.Level = slog.LevelDebug
	default:
		return nil, fmt.Errorf("--log-level is info or debug, not %q", c.logLevel)
	}
	var handler slog.Handler
	switch c.logFormat {
	case "json":
		handler = slog.NewJSONHandler(stderr, options)
	case "text":
		handler = slog.NewTextHandler(stderr, options)
	default:
		return nil, fmt.Errorf("--log-format is json or text, not %q", c.logFormat)
	}
	log := slog.New(handler)
	ctrl.SetLogger(logr.FromSlogHandler(handler))
	klog.SetSlogLogger(log)
	return log, nil
}

// manager connects to the API server with what both processes have in common.
func (c *common) manager(options ctrl.Options) (ctrl.Manager, error) {
	rest, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	rest.UserAgent = "introspection-operator"
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	options.Scheme = scheme
	options.Metrics = metricsserver.Options{BindAddress: c.metricsAddress}
	options.HealthProbeBindAddress = c.healthAddress
	mgr, err := ctrl.NewManager(rest, options)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	return mgr, mgr.AddHealthzCheck("ping", healthz.Ping)
}

func runController(ctx context.Context, args []string, stderr io.Writer) error {
	fs, common := flags("controller", "introspection-system", stderr)
	c := controllers.Config{Registerer: metrics.Registry, Clock: clock.RealClock{}, ReplicaLag: controllers.UsualReplicaLag}
	var elect bool
	fs.StringVar(&c.WebhookNamespace, "webhook-namespace", "introspection", "the namespace of the webhook, and of what it may know")
	fs.StringVar(&c.Instance, "instance", "", "marks what this operator owns; default the UID of namespace kube-system. A rebuilt cluster takes its registrations back with the old one's")
	fs.StringVar(&c.WebhookURL, "webhook-url", defaultURL, "where workloads call the webhook (RFC 7662)")
	fs.StringVar(&c.AuthorizeURL, "authorize-url", defaultURL+":9443", "where gateways call the webhook (forward-auth)")
	fs.StringVar(&c.ExtAuthzAddress, "ext-authz-address", "webhook.introspection.svc:9444", "where Envoy calls the webhook (ext_authz), host:port")
	fs.StringVar(&c.TokenReviewURL, "token-review-url", defaultURL+":7443", "where API servers call the webhook (TokenReview)")
	fs.DurationVar(&c.DriftInterval, "drift-interval", 10*time.Minute, "how often registrations are compared with what is declared")
	fs.IntVar(&c.Workers, "workers", 8, "how many clients are reconciled at once")
	fs.BoolVar(&c.AllowInsecureLoopback, "allow-insecure-loopback", false, "permit http issuers on loopback addresses, for try-outs")
	fs.BoolVar(&elect, "leader-elect", true, "work only while holding the lease introspection-operator in this namespace")
	if err := parse(fs, args); err != nil {
		return err
	}
	c.SystemNamespace = common.namespace
	for _, url := range []*string{&c.WebhookURL, &c.AuthorizeURL, &c.TokenReviewURL} {
		*url = strings.TrimSuffix(*url, "/")
	}
	if c.DriftInterval <= 0 {
		return errors.New("--drift-interval must be positive")
	}
	if c.SystemNamespace == c.WebhookNamespace {
		return errors.New("--namespace and --webhook-namespace must differ: the webhook may read every Secret of its own")
	}
	if _, err := common.logger(stderr); err != nil {
		return err
	}
	mgr, err := common.manager(ctrl.Options{
		Cache: c.CacheOptions(), LeaderElection: elect, LeaderElectionID: "introspection-operator",
		LeaderElectionNamespace: c.SystemNamespace, LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	if c.Instance == "" {
		if c.Instance, err = controllers.KubeSystemUID(ctx, mgr.GetAPIReader()); err != nil {
			return err
		}
	}
	if err := controllers.Setup(ctx, mgr, c); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("caches", filled(mgr.GetCache())); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func filled(c cache.Cache) healthz.Checker {
	return func(r *http.Request) error {
		if !c.WaitForCacheSync(r.Context()) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}

// runnable lets a function run in a manager, leader or not.
type runnable func(context.Context) error

func (r runnable) Start(ctx context.Context) error { return r(ctx) }

func (runnable) NeedLeaderElection() bool { return false }

func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("there is an argument that no flag takes: %q", fs.Arg(0))
	}
	return nil
}

const (
	// minSnapshotAge is several times the pause between two questions whether the API server is there.
	minSnapshotAge = time.Minute
	// traceEnd is how long the last traces may take to be sent.
	traceEnd = 5 * time.Second
)

// serving are the flags of the webhook.
type serving struct {
	webhook.Options

	engine              engine.Options
	configFile, minTLS  string
	collector, hostname string
	sampleRatio         float64
}

func (s *serving) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.configFile, "config", "/etc/introspection/webhook.yaml", "which gateways and API servers may ask: see the documentation of the webhook's configuration")
	fs.StringVar(&s.IntrospectionAddr, "introspection-bind-address", ":10443", "where RFC 7662 is served")
	fs.StringVar(&s.ForwardAuthAddr, "forward-auth-bind-address", ":9443", "where forward-auth is served")
	fs.StringVar(&s.ExtAuthzAddr, "ext-authz-bind-address", ":9444", "where Envoy's ext_authz is served, over gRPC")
	fs.StringVar(&s.TokenReviewAddr, "token-review-bind-address", ":7443", "where TokenReview is served, if the configuration has tokenReview")
	fs.StringVar(&s.IntrospectionURL, "introspection-url", defaultURL, "the controller's --webhook-url: with a policy's path the audience of workloads' ServiceAccount tokens")
	fs.StringVar(&s.AuthorizeURL, "authorize-url", defaultURL+":9443", "the audience of gateways' ServiceAccount tokens, at forward-auth")
	fs.StringVar(&s.ExtAuthzURL, "ext-authz-url", defaultURL+":9444", "the audience of gateways' ServiceAccount tokens, at ext_authz")
	fs.Int64Var(&s.engine.CacheBytes, "cache-bytes", 64<<20, "about how much memory the answers of authorization servers may take")
	fs.DurationVar(&s.engine.MaxSnapshotAge, "max-snapshot-age", 0, "answer 503 once the API server has not been reached for so long; 0 for never")
	fs.Float64Var(&s.engine.MissRate, "miss-rate", 0, "how many tokens that turn out bad a second authorization servers are asked about, for each namespace; 0 for the default")
	fs.IntVar(&s.engine.MissBurst, "miss-burst", 0, "how many of them at once; 0 for the default")
	fs.IntVar(&s.MaxConcurrent, "max-concurrent", 2048, "how many requests are answered at once, on each port; what is beyond is answered 503")
	fs.Uint64Var(&s.engine.SampleAllows, "log-allows", 0, "log one in so many allows at info; 0 for none. Refusals are always logged")
	fs.DurationVar(&s.DrainTimeout, "drain-timeout", 20*time.Second, "how long requests may take to end when the process is told to stop")
	fs.BoolVar(&s.ExtAuthzErrors, "ext-authz-errors", false, "tell Envoy that nobody could tell by an error and no denial: its failure_mode_allow then lets such requests in")
	fs.StringVar(&s.minTLS, "min-tls", "1.3", "1.3, or 1.2 for callers that know no newer")
	fs.StringVar(&s.collector, "otlp-endpoint", "", "URL of an OpenTelemetry collector that traces are sent to, by OTLP over HTTP; empty for no traces")
	fs.Float64Var(&s.sampleRatio, "trace-sample-ratio", 0.01, "which part of the traces that begin here is sent, 0 to 1")
}

// check reads what the flags name.
func (s *serving) check() error {
	for _, url := range []*string{&s.IntrospectionURL, &s.AuthorizeURL, &s.ExtAuthzURL} {
		*url = strings.TrimSuffix(*url, "/")
	}
	switch s.minTLS {
	case "1.3":
		s.MinTLS = tls.VersionTLS13
	case "1.2":
		s.MinTLS = tls.VersionTLS12
	default:
		return fmt.Errorf("--min-tls is 1.3 or 1.2, not %q", s.minTLS)
	}
	if age := s.engine.MaxSnapshotAge; age != 0 && age < minSnapshotAge {
		return fmt.Errorf("--max-snapshot-age is 0, or %s at least: one question to the API server that fails must not stop everything", minSnapshotAge)
	}
	if s.engine.MissRate < 0 || s.engine.MissBurst < 0 || s.MaxConcurrent < 1 {
		return errors.New("--miss-rate and --miss-burst must not be negative, and --max-concurrent must be positive")
	}
	content, err := os.ReadFile(s.configFile)
	if err != nil {
		return fmt.Errorf("reading --config: %w", err)
	}
	if s.Config, err = webhook.ParseConfig(content); err != nil {
		return fmt.Errorf("%s: %w", s.configFile, err)
	}
	return nil
}

// trace starts tracing, if it is wanted. The function that it returns ends it.
func (s *serving) trace(ctx context.Context, log *slog.Logger) (end func(context.Context) error, err error) {
	if s.collector == "" {
		return func(context.Context) error { return nil }, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces could not be sent", "error", err.Error()) }))
	provider, end, err := tracing.New(ctx, tracing.Options{Endpoint: s.collector, SampleRatio: s.sampleRatio, Instance: s.hostname})
	if err != nil {
		return nil, fmt.Errorf("--otlp-endpoint, --trace-sample-ratio: %w", err)
	}
	s.Tracer = provider.Tracer("github.com/introspection-dev/introspection-operator/webhook")
	s.engine.Tracer = s.Tracer
	return end, nil
}

// collectLess lets the heap grow further between collections: each goes through all cached
// answers, to free what lived for one request. Only where GOMEMLIMIT makes the collector work
// harder in time, and nobody chose otherwise.
func collectLess() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") != "" {
		debug.SetGCPercent(400)
	}
}

func runWebhook(ctx context.Context, args []string, stderr io.Writer) error {
	fs, common := flags("webhook", "introspection", stderr)
	s := &serving{}
	s.flags(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	log, err := common.logger(stderr)
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	collectLess()
	hostname, _ := os.Hostname()
	s.hostname = cmp.Or(hostname, "webhook")
	endTraces, err := s.trace(ctx, log)
	if err != nil {
		return err
	}
	mgr, closeEngine, err := s.assemble(common, log)
	if err != nil {
		return err
	}
	defer closeEngine()
	err = mgr.Start(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceEnd) // of the requests that were drained
	defer cancel()
	if unsent := endTraces(last); unsent != nil {
		log.Warn("the last traces could not be sent", "error", unsent.Error())
	}
	return err
}

// assemble puts the webhook together.
func (s *serving) assemble(common *common, log *slog.Logger) (ctrl.Manager, func(), error) {
	grace := s.DrainTimeout + 10*time.Second // or the manager cuts the drain short
	mgr, err := common.manager(ctrl.Options{Cache: controllers.WebhookCacheOptions(common.namespace), GracefulShutdownTimeout: &grace})
	if err != nil {
		return nil, nil, err
	}
	now := clock.RealClock{}
	s.engine.Clock, s.engine.Registerer, s.engine.Logger = now.Now, metrics.Registry, log
	if s.engine.Hints, err = controllers.Hints(mgr, common.namespace, s.hostname, now); err != nil {
		return nil, nil, err
	}
	s.engine.ReadClient = controllers.ReadClient(mgr, common.namespace, now)
	if s.engine.ClusterKeys, err = controllers.ClusterKeys(mgr); err != nil {
		return nil, nil, err
	}
	decider, err := engine.New(s.engine)
	if err != nil {
		return nil, nil, err
	}
	if s.Certificates, err = controllers.SetupSnapshot(mgr, common.namespace, decider, now); err != nil {
		decider.Close()
		return nil, nil, err
	}
	s.Engine, s.Registerer, s.Logger = decider, metrics.Registry, log
	server, err := webhook.New(s.Options)
	if err != nil {
		decider.Close()
		return nil, nil, err
	}
	err = errors.Join(mgr.Add(runnable(server.Run)), mgr.AddReadyzCheck("snapshot", func(*http.Request) error {
		if _, err := s.Certificates(); err != nil {
			return err
		}
		if !decider.Ready() {
			return errors.New("there is no snapshot yet")
		}
		return nil
	}))
	if err != nil {
		decider.Close()
		return nil, nil, err
	}
	return mgr, decider.Close, nil
}
