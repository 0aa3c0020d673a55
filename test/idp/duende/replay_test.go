// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/idp/duende"
)

const (
	recordedHost   = "127.0.0.1:5200"
	recordedIssuer = "http://" + recordedHost
	// issuerless is the second host of the recording: it has no issuer configured.
	issuerless      = "127.0.0.1:5202"
	firstIssuerless = "token: operator-2"
)

// TestReplay holds the server to what a real one answered, in order. Time goes as it went there.
func TestReplay(t *testing.T) {
	exchanges := recording(t)
	p := &player{tokens: map[string]string{}, keys: newKeys(t), born: born(exchanges)}
	p.now.Store(p.born["{{jwt}}"]) // the first of which it shows
	p.start(t, recordedHost, recordedIssuer)
	for _, e := range exchanges {
		if e.Name == firstIssuerless {
			p.start(t, issuerless, "")
		}
		if !t.Run(e.Name, func(t *testing.T) { p.play(t, e) }) {
			return // what follows hangs on it
		}
	}
}

// player plays requests with what stands here for the recording's tokens and keys.
type player struct {
	url, host string
	now       atomic.Int64
	tokens    map[string]string
	born      map[string]int64
	keys      keys
	once      string // the assertion that is used twice
}

func (p *player) start(t *testing.T, host, issuer string) {
	t.Helper()
	o := duende.Recorded()
	o.Issuer = issuer
	o.Now = func() time.Time { return time.Unix(p.now.Load(), 0).UTC() }
	s := duende.New(o)
	p.url, p.host = s.Start(), host
	t.Cleanup(s.Close)
}

// tick moves the clock to when the recorded exchange happened, as far as it shows.
func (p *player) tick(t *testing.T, e exchange) {
	t.Helper()
	at := p.now.Load()
	body, _ := e.Response.Body.(map[string]any)
	for _, member := range []string{"access_token", "refresh_token"} {
		name, _ := body[member].(string)
		at = max(at, p.born[name])
	}
	switch e.Name {
	case "lifetime/JWT 2 s past exp: still active, for 5 minutes":
		exp, _ := body["exp"].(float64)
		at = int64(exp) + 2
	case "rotation/first secret after its end":
		at = p.end(t) + 1
	}
	p.now.Store(at)
}

// end is when the rotated secret of the recording ends.
func (p *player) end(t *testing.T) int64 {
	t.Helper()
	for _, e := range recording(t) {
		if e.Name != "rotation/second secret, the first ends soon" {
			continue
		}
		body, _ := e.Response.Body.(map[string]any)
		secrets, _ := body["secrets"].([]any)
		first, _ := secrets[0].(map[string]any)
		text, _ := first["expires_at"].(string)
		end, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return end.Unix()
	}
	t.Fatal("no secret ends in the recording")
	return 0
}

func (p *player) request(t *testing.T, e exchange) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), e.Request.Method, p.url+e.Request.Path, strings.NewReader(p.body(t, e)))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = p.host
	for name, value := range e.Request.Headers {
		switch name {
		case "Host":
			req.Host = value
		case "DPoP":
			req.Header.Set(name, p.keys.proof(t, "http://"+p.host+"/connect/token", p.now.Load()))
		default:
			req.Header.Set(name, p.here(value))
		}
	}
	if e.Request.Basic != "" {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(e.Request.Basic)))
	}
	return req
}

func (p *player) here(text string) string {
	for there, here := range p.tokens {
		text = strings.ReplaceAll(text, there, here)
	}
	return text
}

// body is the recorded one, with what the recording cut, blotted out or signed made anew.
func (p *player) body(t *testing.T, e exchange) string {
	t.Helper()
	body := e.Request.Body
	switch e.Name {
	case "introspection/token of 60 kB":
		return "token=a.b." + strings.Repeat("c", 60_000)
	case "introspection/tampered JWT":
		token := p.tokens["{{jwt}}"]
		parts := strings.Split(token, ".")
		parts[1] = base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"` + recordedIssuer + `","scope":["orders.read"]}`))
		return "token=" + strings.Join(parts, ".")
	case "private_key_jwt/register JWKs":
		return p.keys.swap(t, body)
	}
	if before, ok := strings.CutSuffix(body, "client_assertion={{jwt}}"); ok {
		body = before + "client_assertion=" + p.assertion(t, e.Name)
	}
	return p.here(body)
}

func (p *player) assertion(t *testing.T, name string) string {
	t.Helper()
	a := assertion{key: p.keys.ec, aud: recordedIssuer, exp: p.now.Load() + 60}
	switch strings.TrimPrefix(name, "private_key_jwt/") {
	case "RSA, aud issuer":
		a.key = p.keys.rsa
	case "EC, aud issuer", "used once":
	case "aud token endpoint":
		a.aud = recordedIssuer + "/connect/token"
	case "aud introspection endpoint":
		a.aud = recordedIssuer + "/connect/introspect"
	case "aud array":
		a.aud = []string{recordedIssuer}
	case "used again":
		return p.once
	case "expired a minute ago":
		a.exp = p.now.Load() - 60
	case "of another key":
		a.key = p.keys.other
	case "typ client-authentication+jwt":
		a.typ = "client-authentication+jwt"
	default:
		t.Fatalf("what assertion is %q?", name)
	}
	p.once = a.sign(t)
	return p.once
}

func (p *player) play(t *testing.T, e exchange) {
	t.Helper()
	p.tick(t, e)
	resp, err := http.DefaultClient.Do(p.request(t, e))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != e.Response.Status {
		t.Fatalf("status %d, want %d: %s", resp.StatusCode, e.Response.Status, body)
	}
	for _, name := range []string{"content-type", "cache-control", "pragma", "www-authenticate"} {
		if got, want := resp.Header.Get(name), e.Response.Headers[name]; got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if e.Response.Headers["content-length"] == "0" && resp.ContentLength != 0 {
		t.Errorf("content-length %d, want 0", resp.ContentLength)
	}
	p.compare(t, e.Response.Body, body)
}

func (p *player) compare(t *testing.T, recorded any, body []byte) {
	t.Helper()
	var got any
	switch text, _ := recorded.(string); {
	case text == "{{jwt}}":
		p.keys.compareSigned(t, string(body))
		return
	case recorded == "":
		if len(body) > 0 {
			t.Errorf("body %q, want none", body)
		}
		return
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("the body is no JSON: %s", body)
	}
	p.learn(recorded, got)
	if diff := cmp.Diff(plain(recorded), plain(got)); diff != "" {
		t.Errorf("body (-recorded +here):\n%s", diff)
	}
}

// learn binds the tokens that the recording names.
func (p *player) learn(there, here any) {
	recorded, _ := there.(map[string]any)
	answered, _ := here.(map[string]any)
	for member, value := range recorded {
		name, _ := value.(string)
		if actual, ok := answered[member].(string); ok && strings.HasPrefix(name, "{{") {
			p.tokens[name] = actual
		}
	}
}
