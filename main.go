// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command introspection-operator is the operator's two processes: controller and
// webhook.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers"
	"github.com/introspection-dev/introspection-operator/webhook"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
)

const usage = `introspection-operator: who may introspect OAuth tokens, and what a good token is.

Usage:
  introspection-operator controller [flags]   registers clients, writes their Secrets
  introspection-operator webhook [flags]      answers: is this token good, for this policy?

Each lists its flags with --help.
`

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
	c := controllers.Config{Registerer: metrics.Registry, Clock: clock.RealClock{}}
	var elect bool
	fs.StringVar(&c.WebhookNamespace, "webhook-namespace", "introspection", "the namespace of the webhook, and of what it may know")
	fs.StringVar(&c.Instance, "instance", "", "marks what this operator owns; default the UID of namespace kube-system. A rebuilt cluster takes its registrations back with the old one's")
	fs.StringVar(&c.WebhookURL, "webhook-url", "https://webhook.introspection.svc", "where workloads call the webhook (RFC 7662)")
	fs.StringVar(&c.AuthorizeURL, "authorize-url", "https://webhook.introspection.svc:9443", "where gateways call the webhook (forward-auth)")
	fs.DurationVar(&c.DriftInterval, "drift-interval", 10*time.Minute, "how often registrations are compared with what is declared")
	fs.IntVar(&c.Workers, "workers", 8, "how many clients are reconciled at once")
	fs.BoolVar(&c.AllowInsecureLoopback, "allow-insecure-loopback", false, "permit http issuers on loopback addresses, for try-outs")
	fs.BoolVar(&elect, "leader-elect", true, "work only while holding the lease introspection-operator in this namespace")
	if err := parse(fs, args); err != nil {
		return err
	}
	c.SystemNamespace = common.namespace
	c.WebhookURL, c.AuthorizeURL = strings.TrimSuffix(c.WebhookURL, "/"), strings.TrimSuffix(c.AuthorizeURL, "/")
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
	if err := mgr.AddReadyzCheck("caches", func(r *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(r.Context()) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func runWebhook(ctx context.Context, args []string, stderr io.Writer) error {
	fs, common := flags("webhook", "introspection", stderr)
	options := webhook.Options{}
	var configFile string
	var cacheBytes int64
	var sample uint64
	fs.StringVar(&configFile, "config", "/etc/introspection/webhook.yaml", "which gateways may ask: see the documentation of the webhook's configuration")
	fs.StringVar(&options.IntrospectionAddr, "introspection-bind-address", ":10443", "where RFC 7662 is served")
	fs.StringVar(&options.ForwardAuthAddr, "forward-auth-bind-address", ":9443", "where forward-auth is served")
	fs.Int64Var(&cacheBytes, "cache-bytes", 64<<20, "about how much memory the answers of authorization servers may take")
	fs.Uint64Var(&sample, "log-allows", 0, "log one in so many allows at info; 0 for none. Refusals are always logged")
	fs.DurationVar(&options.DrainTimeout, "drain-timeout", 20*time.Second, "how long requests may take to end when the process is told to stop")
	if err := parse(fs, args); err != nil {
		return err
	}
	log, err := common.logger(stderr)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(configFile) //nolint:gosec // the operator's own flag
	if err != nil {
		return fmt.Errorf("reading --config: %w", err)
	}
	if options.Config, err = webhook.ParseConfig(content); err != nil {
		return fmt.Errorf("%s: %w", configFile, err)
	}
	grace := options.DrainTimeout + 10*time.Second // or the manager cuts the drain short
	mgr, err := common.manager(ctrl.Options{Cache: controllers.WebhookCacheOptions(common.namespace), GracefulShutdownTimeout: &grace})
	if err != nil {
		return err
	}
	now := clock.RealClock{}
	hostname, _ := os.Hostname()
	hints, err := controllers.Hints(mgr, common.namespace, cmp.Or(hostname, "webhook"), now)
	if err != nil {
		return err
	}
	decider, err := engine.New(engine.Options{
		Clock: now.Now, Registerer: metrics.Registry, Logger: log, CacheBytes: cacheBytes, SampleAllows: sample, Hints: hints,
	})
	if err != nil {
		return err
	}
	defer decider.Close()
	if options.Certificates, err = controllers.SetupSnapshot(mgr, common.namespace, decider, now); err != nil {
		return err
	}
	options.Engine, options.Registerer, options.Logger = decider, metrics.Registry, log
	server, err := webhook.New(options) //nolint:contextcheck // it listens; Run takes the context
	if err != nil {
		return err
	}
	if err := errors.Join(mgr.Add(runnable(server.Run)), mgr.AddReadyzCheck("snapshot", func(*http.Request) error {
		if _, err := options.Certificates(); err != nil {
			return err
		}
		if !decider.Ready() {
			return errors.New("there is no snapshot yet")
		}
		return nil
	})); err != nil {
		return err
	}
	return mgr.Start(ctx)
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
