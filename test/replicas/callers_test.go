// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package replicas

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// verdict is what a caller makes of an answer.
type verdict int

const (
	// allowed, denied and undecided are answers.
	allowed verdict = iota
	denied
	undecided
	// unreached says that nobody listened: nothing was sent.
	unreached
	// broken is all else: no answer to what was sent, or none that the protocol has.
	broken
)

func (v verdict) String() string {
	return [...]string{"allowed", "denied", "undecided", "unreached", "broken"}[v]
}

// answerLimit is longer than the webhook's own.
const answerLimit = time.Minute

// caller asks one replica over one surface.
type caller struct {
	surface string
	replica int
	// ask asks whether a token is good for a policy. The error says why it is broken.
	ask func(ctx context.Context, policy tested, token string) (verdict, error)
}

func (c *caller) String() string { return fmt.Sprintf("%s of replica %d", c.surface, c.replica) }

// callersOf are those of all surfaces of both replicas, each with connections of its own.
func (w *world) callersOf(t *testing.T) []*caller {
	t.Helper()
	mounted := map[string]*corev1.Secret{}
	for _, p := range policies() {
		secret, err := w.mounted(t.Context(), p.client)
		if err != nil {
			t.Fatal(err)
		}
		mounted[p.client] = secret
	}
	roots, err := trusting(mounted["orders"].Data["ca.crt"])
	if err != nil {
		t.Fatal(err)
	}
	accounts := w.accountTokens(t)
	var all []*caller
	for i, r := range w.replicas {
		all = append(all,
			&caller{"introspection", i, w.facade(t, r.introspection, roots, func(req *http.Request, p tested) {
				secret := mounted[p.client].Data
				req.SetBasicAuth(url.QueryEscape(string(secret["client_id"])), url.QueryEscape(string(secret["client_secret"])))
			})},
			&caller{"introspection by ServiceAccount", i, w.facade(t, r.introspection, roots, func(req *http.Request, p tested) {
				req.Header.Set("Authorization", "Bearer "+accounts[p.name])
			})},
			&caller{"forward-auth", i, w.forwardAuth(t, r.forwardAuth, roots)},
			&caller{"ext_authz", i, w.extAuthz(t, r.extAuthz, roots)},
			&caller{"TokenReview", i, w.tokenReview(t, r.tokenReview, roots)},
		)
	}
	return all
}

// accountTokens are a ServiceAccount's, for each policy's URL.
func (w *world) accountTokens(t *testing.T) map[string]string {
	t.Helper()
	owner := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: tenantNamespace, Name: account}}
	if err := w.kube.Create(t.Context(), owner); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{}
	for _, p := range policies() {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			Audiences: []string{"https://" + w.replicas[0].introspection + "/introspect/" + tenantNamespace + "/" + p.name},
		}}
		if err := w.kube.SubResource("token").Create(t.Context(), owner, request); err != nil {
			t.Fatal(err)
		}
		tokens[p.name] = request.Status.Token
	}
	return tokens
}

// http is a client with one certificate, or none.
func (w *world) http(t *testing.T, roots *x509.CertPool, certificate string) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: w.tls(t, roots, certificate), IdleConnTimeout: time.Minute}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (w *world) tls(t *testing.T, roots *x509.CertPool, certificate string) *tls.Config {
	t.Helper()
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	if certificate != "" {
		shown, err := w.certificate(certificate)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{shown}
	}
	return config
}

// facade asks by RFC 7662.
func (w *world) facade(t *testing.T, address string, roots *x509.CertPool, prove func(*http.Request, tested)) func(context.Context, tested, string) (verdict, error) {
	t.Helper()
	c := w.http(t, roots, "")
	return func(ctx context.Context, p tested, token string) (verdict, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/introspect/"+tenantNamespace+"/"+p.name,
			strings.NewReader(url.Values{"token": {token}}.Encode()))
		if err != nil {
			return broken, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		prove(req, p)
		status, body, v, err := send(c, req)
		if err != nil {
			return v, err
		}
		var answer struct {
			Active *bool `json:"active"`
		}
		switch err := json.Unmarshal(body, &answer); {
		case status == http.StatusServiceUnavailable:
			return undecided, nil
		case status == http.StatusOK && err == nil && answer.Active != nil && *answer.Active:
			return allowed, nil
		case status == http.StatusOK && string(body) == `{"active":false}`:
			return denied, nil
		}
		return broken, fmt.Errorf("answered %d %q", status, body)
	}
}

// forwardAuth asks as nginx does.
func (w *world) forwardAuth(t *testing.T, address string, roots *x509.CertPool) func(context.Context, tested, string) (verdict, error) {
	t.Helper()
	c := w.http(t, roots, gatewaySAN)
	return func(ctx context.Context, p tested, token string) (verdict, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/authorize/"+tenantNamespace+"/"+p.name, http.NoBody)
		if err != nil {
			return broken, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("X-Original-Url", "https://orders.example.com/orders")
		req.Header.Set("X-Original-Method", http.MethodGet)
		status, body, v, err := send(c, req)
		if err != nil {
			return v, err
		}
		return gatewayVerdict(status, body)
	}
}

func gatewayVerdict(status int, body []byte) (verdict, error) {
	switch status {
	case http.StatusOK:
		return allowed, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return denied, nil
	case http.StatusServiceUnavailable:
		return undecided, nil
	}
	return broken, fmt.Errorf("answered %d %q", status, body)
}

// send is the answer to a request. If there is none, it says whether the request went out:
// a connection that nobody takes is no failure of one who goes.
func send(c *http.Client, req *http.Request) (status int, body []byte, v verdict, err error) {
	var sent atomic.Bool
	ctx, cancel := context.WithTimeout(req.Context(), answerLimit)
	defer cancel()
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		if info.Err == nil {
			sent.Store(true)
		}
	}}))
	resp, err := c.Do(req)
	var read bytes.Buffer
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		_, err = read.ReadFrom(resp.Body)
	}
	switch {
	case err == nil:
		return resp.StatusCode, read.Bytes(), allowed, nil
	case sent.Load():
		return 0, nil, broken, fmt.Errorf("sent, and not answered: %w", err)
	}
	return 0, nil, unreached, err
}

// tokenReview asks as the API server does.
func (w *world) tokenReview(t *testing.T, address string, roots *x509.CertPool) func(context.Context, tested, string) (verdict, error) {
	t.Helper()
	c := w.http(t, roots, apiServerSAN)
	return func(ctx context.Context, p tested, token string) (verdict, error) {
		asked, err := json.Marshal(authenticationv1.TokenReview{
			TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
			Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
		})
		if err != nil {
			return broken, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/tokenreview/"+tenantNamespace+"/"+p.name, bytes.NewReader(asked))
		if err != nil {
			return broken, err
		}
		req.Header.Set("Content-Type", "application/json")
		status, body, v, err := send(c, req)
		if err != nil {
			return v, err
		}
		var review authenticationv1.TokenReview
		if err := json.Unmarshal(body, &review); err != nil || status != http.StatusOK || review.Kind != "TokenReview" {
			return broken, fmt.Errorf("answered %d %q", status, body)
		}
		switch {
		case review.Status.Authenticated:
			return allowed, nil
		case review.Status.Error != "":
			return undecided, nil
		}
		return denied, nil
	}
}
