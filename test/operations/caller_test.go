// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package operations_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// workload asks our endpoint by the Secret that it mounted at its start, and does not read it again.
type workload struct {
	id, secret, endpoint string
	http                 *http.Client
}

func mount(ctx context.Context, c *cluster) (*workload, error) {
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "orders"}, secret); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		return nil, errors.New("ca.crt holds no certificate")
	}
	return &workload{
		id: string(secret.Data["client_id"]), secret: string(secret.Data["client_secret"]), endpoint: string(secret.Data["introspection_endpoint"]),
		http: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}},
	}, nil
}

var errRefused = errors.New("the caller is refused")

// ask has a new token judged (RFC 7662): no answer about it is in a cache.
func (l *workload) ask(ctx context.Context) error {
	token, err := newToken(ctx)
	if err != nil {
		return err
	}
	var answer struct {
		Active bool `json:"active"`
	}
	status, err := post(ctx, l.http, l.endpoint, l.id, l.secret, url.Values{"token": {token}}, &answer)
	switch {
	case err != nil:
		return err
	case status == http.StatusUnauthorized:
		return errRefused
	case status != http.StatusOK || !answer.Active:
		return fmt.Errorf("a good token: HTTP %d, active %t", status, answer.Active)
	}
	return nil
}

// newToken is one of the client web.
func newToken(ctx context.Context) (string, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	status, err := signIn(ctx, "web", "web-secret", &answer)
	if err == nil && answer.AccessToken == "" {
		err = fmt.Errorf("no token: HTTP %d", status)
	}
	return answer.AccessToken, err
}

// signIn asks for a token by the client credentials grant (RFC 6749 section 4.4).
func signIn(ctx context.Context, id, secret string, into any) (status int, err error) {
	return post(ctx, http.DefaultClient, w.idp.Issuer()+"/protocol/openid-connect/token", id, secret, url.Values{"grant_type": {"client_credentials"}}, into)
}

func post(ctx context.Context, by *http.Client, address, id, secret string, form url.Values, into any) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	resp, err := by.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(into)
}

// working has a workload ask all the time, until stop, which says how often and what went wrong.
func (l *workload) working(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	asked := 0
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			err := l.ask(ctx)
			if ctx.Err() == nil {
				asked++
				if err != nil {
					t.Errorf("question %d of a workload: %v", asked, err)
				}
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
	return func() {
		cancel()
		<-done
		if asked == 0 {
			t.Error("the workload asked nothing meanwhile")
		}
	}
}
