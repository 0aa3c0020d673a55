// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider/keycloak"
)

// maxCABundle bounds what a platform can make us parse.
const maxCABundle = 256 << 10

// sessions keeps one session per server object: one signed-in token, one pool of
// connections, one limiter, whoever reconciles.
type sessions struct {
	reader     client.Reader // live: nothing is cached of Secrets but their metadata
	namespace  string
	transport  func(http.RoundTripper) http.RoundTripper
	clock      clock.PassiveClock
	registerer prometheus.Registerer

	mu   sync.Mutex
	open map[types.UID]*session
}

func newSessions(reader client.Reader, config Config) *sessions {
	return &sessions{
		reader: reader, namespace: config.SystemNamespace, transport: config.Transport,
		clock: config.Clock, registerer: config.Registerer, open: map[types.UID]*session{},
	}
}

// session is one server's.
type session struct {
	provider.Server

	ca         []byte
	http       *http.Client
	generation int64
	hash       string
}

// connection is how a server is called.
type connection struct {
	ca   []byte
	http *http.Client
}

// lookup returns the open session of a server, or opens one on what its status
// says: after a restart a client may be looked at before its server.
func (s *sessions) lookup(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer) (*session, error) {
	s.mu.Lock()
	found := s.open[server.UID]
	current := found != nil && found.generation == server.Generation
	s.mu.Unlock()
	if current {
		return found, nil
	}
	conn, err := s.connect(ctx, server)
	if err != nil {
		return nil, err
	}
	return s.start(ctx, server, conn, server.Status.Endpoints.Token)
}

// start opens a session with the credentials that the server object names, or
// keeps the open one if nothing of it changed.
func (s *sessions) start(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer, conn *connection, tokenEndpoint string) (*session, error) {
	clientID, clientSecret, err := s.credentials(ctx, server.Spec.Credentials.ClientCredentials)
	if err != nil {
		return nil, err
	}
	hash, err := hashOf(server.Spec.Issuer, server.Spec.Connection, server.Spec.Keycloak.AdminURL, string(conn.ca), clientID, clientSecret, tokenEndpoint)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.open[server.UID]; found != nil && found.hash == hash {
		found.generation = server.Generation
		return found, nil
	}
	limits := server.Spec.Connection.Limits
	registrar, err := keycloak.New(keycloak.Options{
		Issuer:        server.Spec.Issuer,
		AdminURL:      adminURL(server),
		TokenEndpoint: tokenEndpoint,
		ClientID:      clientID,
		ClientSecret:  provider.Secret(clientSecret),
		HTTPClient:    conn.http,
		Clock:         s.clock.Now,
		Limits: provider.Limits{
			RequestsPerSecond: float64(limits.RequestsPerSecond), Burst: int(limits.Burst), MaxInFlight: int(limits.MaxInFlight),
		},
	})
	if err != nil {
		return nil, userMustAct(v1alpha1.ReasonInvalidMetadata, "The server's address can't be used: %v.", err)
	}
	opened := &session{
		Server: provider.WithMetrics(registrar, "keycloak", s.registerer, s.clock.Now),
		ca:     conn.ca, http: conn.http, generation: server.Generation, hash: hash,
	}
	s.open[server.UID] = opened
	return opened, nil
}

// forget drops the session of a server that is gone.
func (s *sessions) forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, uid)
}

// connect makes an HTTP client of a server object and the CA bundle that it names.
func (s *sessions) connect(ctx context.Context, server *v1alpha1.ClusterAuthorizationServer) (*connection, error) {
	c := &connection{}
	var err error
	if c.ca, err = s.caBundle(ctx, server.Spec.Connection.CABundle); err != nil {
		return nil, err
	}
	c.http, err = provider.NewHTTPClient(provider.HTTPOptions{
		HostHeader: hostHeader(server),
		CAPEM:      c.ca,
		Timeout:    callTimeout(server),
		Wrap:       s.transport,
	})
	if err != nil {
		return nil, userMustAct(v1alpha1.ReasonInvalidCABundle, "The CA bundle can't be used: %v.", err)
	}
	return c, nil
}

// hashOf tells whether anything of a session changed.
func hashOf(parts ...any) (string, error) {
	encoded, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("encoding a server's spec: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}

// credentials reads the operator's sign-in.
func (s *sessions) credentials(ctx context.Context, ref *v1alpha1.SecretReference) (id, secret string, err error) {
	data, err := s.data(ctx, "Secret", ref.SecretName)
	if err != nil {
		return "", "", err
	}
	for _, key := range []string{"client_id", "client_secret"} {
		if len(bytes.TrimSpace(data[key])) == 0 {
			return "", "", userMustAct(v1alpha1.ReasonSecretNotFound,
				"Secret %s/%s has no key %s. It needs client_id and client_secret of the client that the operator signs in with.", s.namespace, ref.SecretName, key)
		}
	}
	// A trailing newline is what `--from-file` and an editor leave behind, and no part of a secret.
	return strings.TrimSpace(string(data["client_id"])), strings.TrimRight(string(data["client_secret"]), "\r\n"), nil
}

func (s *sessions) caBundle(ctx context.Context, ref *v1alpha1.CABundleReference) ([]byte, error) {
	if ref == nil {
		return nil, nil
	}
	data, err := s.data(ctx, ref.Kind, ref.Name)
	if err != nil {
		return nil, err
	}
	bundle := data[ref.Key]
	switch {
	case len(bundle) == 0:
		return nil, userMustAct(v1alpha1.ReasonInvalidCABundle, "%s %s/%s has no key %s.", ref.Kind, s.namespace, ref.Name, ref.Key)
	case len(bundle) > maxCABundle:
		return nil, userMustAct(v1alpha1.ReasonInvalidCABundle, "%s %s/%s: key %s is larger than 256 KiB.", ref.Kind, s.namespace, ref.Name, ref.Key)
	}
	certificates := certificatesOf(bundle)
	if !x509.NewCertPool().AppendCertsFromPEM(certificates) {
		return nil, userMustAct(v1alpha1.ReasonInvalidCABundle, "%s %s/%s: key %s holds no PEM certificate.", ref.Kind, s.namespace, ref.Name, ref.Key)
	}
	return certificates, nil
}

// certificatesOf takes the certificates out of a PEM file, and leaves a key that
// stands beside them: the bundle gets into Secrets that workloads mount.
func certificatesOf(bundle []byte) []byte {
	var certificates []byte
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return certificates
		}
		if block.Type == "CERTIFICATE" {
			certificates = append(certificates, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
		}
	}
}

// data reads a Secret or ConfigMap of the operator's namespace.
func (s *sessions) data(ctx context.Context, kind, name string) (map[string][]byte, error) {
	key := types.NamespacedName{Namespace: s.namespace, Name: name}
	var err error
	data := map[string][]byte{}
	if kind == "ConfigMap" {
		object := &corev1.ConfigMap{}
		err = s.reader.Get(ctx, key, object)
		for k, v := range object.Data {
			data[k] = []byte(v)
		}
	} else {
		object := &corev1.Secret{}
		err = s.reader.Get(ctx, key, object)
		data = object.Data
	}
	if apierrors.IsNotFound(err) {
		return nil, userMustAct(v1alpha1.ReasonSecretNotFound, "%s %s does not exist. Create it in namespace %s.", kind, name, s.namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", kind, key, err)
	}
	return data, nil
}

// connectionURL is where a server is called.
func connectionURL(server *v1alpha1.ClusterAuthorizationServer) string {
	if server.Spec.Connection.URL != "" {
		return server.Spec.Connection.URL
	}
	return server.Spec.Issuer
}

// adminURL is the base of a Keycloak's admin API.
func adminURL(server *v1alpha1.ClusterAuthorizationServer) string {
	if server.Spec.Keycloak.AdminURL != "" {
		return strings.TrimSuffix(server.Spec.Keycloak.AdminURL, "/")
	}
	base, _, _ := strings.Cut(connectionURL(server), "/realms/")
	return base
}

// hostHeader is the host that calls carry, empty for the connection's own.
func hostHeader(server *v1alpha1.ClusterAuthorizationServer) string {
	if server.Spec.Connection.HostHeader != v1alpha1.HostHeaderIssuer {
		return ""
	}
	_, rest, _ := strings.Cut(server.Spec.Issuer, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// callTimeout bounds one call to a server.
func callTimeout(server *v1alpha1.ClusterAuthorizationServer) time.Duration {
	if t := server.Spec.Connection.Timeout; t != nil {
		return t.Duration
	}
	return 2 * time.Second // the schema's default, for an object from before it
}
