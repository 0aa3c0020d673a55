// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/introspection-dev/introspection-operator/webhook/policy"
)

// BenchmarkFacade compares the RFC 7662 facade on a warm cache with a bare net/http handler
// that writes the same body, over TLS, in interleaved pairs.
func BenchmarkFacade(b *testing.B) {
	s := setup{}
	p := s.start(b)
	request := question("/introspect/shop/orders", facadeID, facadeSecret, accessToken("1"))
	body, err := s.policy(b, "orders").Compiled.Body(goodFacts())
	if err != nil {
		b.Fatal(err)
	}
	ours := p.newLoad(b, p.addresses.Introspection, request)
	bare := p.newLoad(b, p.startBare(b, bareFacade(&body)), request)
	for b.Loop() {
		compare(b, ours.run, bare.run, burst).report(b)
	}
}

func bareFacade(body *policy.Body) http.HandlerFunc {
	written := body.At(goodFacts().IssuedAt)
	return func(w http.ResponseWriter, r *http.Request) {
		var read bytes.Buffer
		if _, err := read.ReadFrom(r.Body); err != nil {
			return
		}
		h := w.Header()
		h["Content-Type"] = []string{"application/json"}
		h["Introspection-Decision"], h["Cache-Control"] = []string{"0123456789abcdef"}, []string{"no-store"}
		_, _ = w.Write(written)
	}
}

// question is a POST of RFC 7662 section 2.1, with HTTP Basic.
func question(target, id, secret, token string) []byte {
	body := url.Values{"token": {token}}.Encode()
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: webhook.introspection.svc\r\nAuthorization: Basic %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", target, basic, len(body), body)
}
