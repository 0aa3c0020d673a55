// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// maxCABundle bounds what a platform can make us parse.
const maxCABundle = 256 << 10

// connection is how a server is called.
type connection struct {
	ca   []byte
	http *http.Client
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
		HostFor:    connectionURL(server),
		CAPEM:      c.ca,
		Timeout:    callTimeout(server),
		Wrap:       s.transport,
	})
	if err != nil {
		return nil, userMustAct(v1alpha1.ReasonInvalidCABundle, "The CA bundle can't be used: %v.", err)
	}
	return c, nil
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

// hostHeader is the host that calls carry, empty for the connection's own.
func hostHeader(server *v1alpha1.ClusterAuthorizationServer) string {
	if server.Spec.Connection.HostHeader != v1alpha1.HostHeaderIssuer {
		return ""
	}
	_, rest, _ := strings.Cut(server.Spec.Issuer, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// hostHeaderFor is the host that calls of an endpoint carry: one on another host has a name of its own.
func hostHeaderFor(server *v1alpha1.ClusterAuthorizationServer, endpoint string) string {
	at, err := url.Parse(endpoint)
	to, errTo := url.Parse(connectionURL(server))
	if err != nil || errTo != nil || at.Host != to.Host {
		return ""
	}
	return hostHeader(server)
}

// callTimeout bounds one call to a server.
func callTimeout(server *v1alpha1.ClusterAuthorizationServer) time.Duration {
	if t := server.Spec.Connection.Timeout; t != nil {
		return t.Duration
	}
	return 2 * time.Second // the schema's default, for an object from before it
}
