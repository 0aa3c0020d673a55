// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	requestTimeout = 15 * time.Second
	maxBody        = 1 << 20
)

// request is one HTTP request that can be shown as a curl command. Files are
// named below the demo's directory; secrets and tokens stand in files only, so
// that no command line has one.
type request struct {
	method string // default GET, and POST with a form
	url    string
	ca     string // the CA's file
	cert   string // the client certificate's file, with key its key's
	key    string
	// headers stand on the command line; bearer is a file with the header Authorization.
	headers []string
	bearer  string
	// user is a curl configuration with `user = "id:secret"`.
	user string
	// form has name=value, or name@file.
	form []string
	// head shows the answer's header too.
	head bool
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// curl is the command's arguments.
func (r request) curl() []string {
	args := []string{"curl", "-s"}
	if r.head {
		args = append(args, "-i")
	} else {
		args = append(args, "-w", `\n%{http_code}\n`)
	}
	if r.method != "" {
		args = append(args, "-X", r.method)
	}
	for _, option := range []struct{ name, value string }{
		{"--cacert", r.ca}, {"--cert", r.cert}, {"--key", r.key}, {"-K", r.user},
	} {
		if option.value != "" {
			args = append(args, option.name, option.value)
		}
	}
	if r.bearer != "" {
		args = append(args, "-H", "@"+r.bearer)
	}
	for _, h := range r.headers {
		args = append(args, "-H", h)
	}
	for _, f := range r.form {
		args = append(args, "--data-urlencode", f)
	}
	return append(args, r.url)
}

// do makes the request without curl, in the demo's directory dir.
func (r request) do(ctx context.Context, dir string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := r.build(ctx, dir)
	if err != nil {
		return answer{}, fmt.Errorf("making a request to %s: %w", r.url, err)
	}
	transport, err := r.transport(dir)
	if err != nil {
		return answer{}, fmt.Errorf("connecting to %s: %w", r.url, err)
	}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, fmt.Errorf("asking %s: %w", r.url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxBody)); err != nil {
		return answer{}, fmt.Errorf("reading the answer of %s: %w", r.url, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body.String()}, nil
}

func (r request) build(ctx context.Context, dir string) (*http.Request, error) {
	form, err := r.encodeForm(dir)
	if err != nil {
		return nil, err
	}
	method := r.method
	if method == "" {
		method = http.MethodGet
		if len(r.form) > 0 {
			method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, r.url, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	headers := r.headers
	if r.bearer != "" {
		line, err := os.ReadFile(filepath.Join(dir, r.bearer))
		if err != nil {
			return nil, err
		}
		headers = append([]string{strings.TrimSpace(string(line))}, headers...)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if r.user != "" {
		id, secret, err := readUser(filepath.Join(dir, r.user))
		if err != nil {
			return nil, err
		}
		req.SetBasicAuth(id, secret)
	}
	return req, nil
}

func (r request) encodeForm(dir string) (string, error) {
	form := url.Values{}
	for _, f := range r.form {
		at := strings.IndexAny(f, "=@")
		if at < 0 {
			return "", fmt.Errorf("%q is no member of a form", f)
		}
		name, value := f[:at], f[at+1:]
		if f[at] == '@' {
			content, err := os.ReadFile(filepath.Join(dir, value))
			if err != nil {
				return "", err
			}
			value = string(content)
		}
		form.Set(name, value)
	}
	return form.Encode(), nil
}

func (r request) transport(dir string) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.ca != "" {
		pem, err := os.ReadFile(filepath.Join(dir, r.ca))
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", r.ca)
		}
	}
	if r.cert != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, r.cert), filepath.Join(dir, r.key))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Transport{TLSClientConfig: config}, nil
}

// readUser reads a curl configuration with one line `user = "id:secret"`.
func readUser(file string) (id, secret string, err error) {
	content, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return "", "", err
	}
	_, quoted, ok := strings.Cut(string(content), "=")
	user, err := strconv.Unquote(strings.TrimSpace(quoted))
	if !ok || err != nil {
		return "", "", errors.New("no user stands in the curl configuration")
	}
	id, secret, _ = strings.Cut(user, ":")
	return id, secret, nil
}

// parseCurl reads what curl printed: the header and the body, or the body and
// the status in a line of its own.
func parseCurl(printed string, head bool) (answer, error) {
	printed = strings.ReplaceAll(printed, "\r", "")
	if !head {
		body, status, ok := cutLast(strings.TrimSuffix(printed, "\n"), "\n")
		code, err := strconv.Atoi(status)
		if !ok || err != nil {
			return answer{}, fmt.Errorf("curl printed no status but %q", status)
		}
		return answer{status: code, header: http.Header{}, body: body}, nil
	}
	top, body, _ := strings.Cut(printed, "\n\n")
	lines := strings.Split(top, "\n")
	fields := strings.Fields(lines[0])
	if len(fields) < 2 {
		return answer{}, errors.New("curl printed no header")
	}
	code, err := strconv.Atoi(fields[1])
	if err != nil {
		return answer{}, fmt.Errorf("curl printed no status: %w", err)
	}
	a := answer{status: code, header: http.Header{}, body: body}
	for _, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ":"); ok {
			a.header.Add(name, strings.TrimSpace(value))
		}
	}
	return a, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// show is the answer as curl would show it.
func (a answer) show(head bool) string {
	if !head {
		return a.body + "\n" + strconv.Itoa(a.status) + "\n"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", a.status, http.StatusText(a.status))
	_ = a.header.Write(&b) // a buffer takes everything
	return b.String() + "\n" + a.body
}
