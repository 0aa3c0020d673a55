// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/test/env"
)

// nginxConf is a gateway in front of the API: it asks the policy, hands the
// identity to the API, and never the token. Upper-case words are filled in.
const nginxConf = `worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  # nginx itself passes the challenge of a 401 on, and not that of a 403.
  map $status_of_authorize $challenge_of_403 { 403 $challenge; }
  server {
    listen LISTEN;
    location / {
      auth_request /authorize;
      auth_request_set $auth_subject $upstream_http_x_auth_subject;
      auth_request_set $auth_username $upstream_http_x_auth_username;
      auth_request_set $status_of_authorize $upstream_status;
      auth_request_set $challenge $upstream_http_www_authenticate;
      add_header WWW-Authenticate $challenge_of_403 always;
      proxy_set_header X-Auth-Subject $auth_subject;
      proxy_set_header X-Auth-Username $auth_username;
      proxy_set_header Authorization "";
      proxy_pass http://UPSTREAM;
    }
    location = /authorize {
      internal;
      proxy_pass https://AUTHORIZE/authorize/shop/orders;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-URL $scheme://$host$request_uri;
      proxy_set_header X-Original-Method $request_method;
      proxy_ssl_certificate GATEWAYCERT;
      proxy_ssl_certificate_key GATEWAYKEY;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate CA;
      proxy_ssl_name webhook.introspection.svc;
      proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.3;
    }
  }
}
`

// startGateway runs nginx in front of an API that tells who it thinks asks; it
// says so if there is no nginx.
func (d *demo) startGateway(ctx context.Context) error {
	upstream, err := d.startAPI(ctx)
	if err != nil {
		return err
	}
	port, err := env.FreePort()
	if err != nil {
		return err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	conf := strings.NewReplacer(
		"LISTEN", listen, "UPSTREAM", upstream, "AUTHORIZE", d.urls.authorize,
		"GATEWAYCERT", filepath.Join(d.dir, gatewayCert), "GATEWAYKEY", filepath.Join(d.dir, gatewayKey),
		"CA", filepath.Join(d.dir, webhookCA),
	).Replace(nginxConf)
	dir := filepath.Join(d.dir, "nginx")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making room for nginx: %w", err)
	}
	nginx, err := env.StartNginx(ctx, conf, dir)
	if errors.Is(err, os.ErrNotExist) {
		d.say("nginx is not installed, so curl alone plays the gateway here.")
		return nil
	}
	if err != nil {
		return err
	}
	d.atEnd("nginx", nginx.Stop)
	d.gateway = "http://" + listen
	return nil
}

// startAPI is the API: it answers with the identity headers that it got.
func (d *demo) startAPI(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("starting the API: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, token := r.Header["Authorization"]
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "orders of: subject=%q username=%q, token seen: %t\n", //nolint:gosec // plain text, quoted
			r.Header["X-Auth-Subject"], r.Header["X-Auth-Username"], token)
	})}
	go func() { _ = server.Serve(listener) }() // ends with Close
	d.atEnd("the API", server.Close)
	return listener.Addr().String(), nil
}
