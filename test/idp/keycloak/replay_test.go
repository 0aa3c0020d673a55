// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
)

const (
	recordedHost = "http://127.0.0.1:18080"
	recordedWeb  = "77b171dc-c241-4467-bec5-a102f0d04530"
	recordedApp  = "5ac7833e-e116-4404-a902-3436e9cfd1a8"
	// recordedNobody is the client that signs in as a ServiceAccount.
	recordedNobody = "e0a46fa5-1333-461f-a12b-087980c34211"
)

// times are when it was in the recording, from an exchange on: rotations are about the second.
var times = map[string]int64{
	"discovery/openid-configuration": 1795406277,
	"token/operator-rotating":        1795406285,
	"rotation with secrets of our choice (client policy secret-rotation)/old after its time":                1795406290,
	"rotation, the server's expiry (6 s, 3 s of overlap, 2 s of window)/create":                             1795406291,
	"rotation, the server's expiry (6 s, 3 s of overlap, 2 s of window)/after its end":                      1795406298,
	"rotation, the server's expiry (6 s, 3 s of overlap, 2 s of window)/the new one, past the policy's 6 s": 1795406305,
}

// TestReplay holds the server to what a real Keycloak answered, in order.
func TestReplay(t *testing.T) {
	file, err := os.ReadFile("testdata/exchanges.json")
	if err != nil {
		t.Fatal(err)
	}
	var recording struct {
		Exchanges []exchange `json:"exchanges"`
	}
	if err := json.Unmarshal(file, &recording); err != nil {
		t.Fatal(err)
	}
	if got := len(recording.Exchanges); got != recorded-len(leftOut()) {
		t.Fatalf("there are %d exchanges of %d, and %d are left out", got, recorded, len(leftOut()))
	}
	for _, e := range recording.Exchanges {
		if why, ok := leftOut()[e.Name]; ok {
			t.Errorf("%s is there, and left out: %s", e.Name, why)
		}
	}
	p := newPlayer(t)
	for _, e := range recording.Exchanges {
		t.Run(e.Name, func(t *testing.T) { p.play(t, e) })
	}
}

type player struct {
	server *keycloak.Server
	known  map[string]string // what stands in the recording, and what it is here
	now    time.Time
	signer *signer
}

func newPlayer(t *testing.T) *player {
	t.Helper()
	p := &player{known: map[string]string{}}
	s := keycloak.New(keycloak.Options{
		Now: func() time.Time { return p.now },
		Clients: []keycloak.Client{
			keycloak.Operator("operator", "operator-secret"),
			{ID: "viewer", Secret: "viewer-secret", Roles: []string{"view-clients"}},
			{ID: "nobody", Secret: "nobody-secret"},
			{ID: "administrator", Secret: "administrator-secret", Roles: []string{"realm-admin"}},
			{ID: "web", Secret: "web-secret"},
			{ID: "mobile"},
		},
		Users: []keycloak.User{{Name: "alice", Password: "alice-password", Claims: map[string]any{
			"email_verified": true, "name": "Alice A", "given_name": "Alice", "family_name": "A", "email": "alice@example.com",
		}}},
	})
	s.AddRealm("other")
	s.In("other").AddClient(keycloak.Operator("operator", "operator-secret"))
	s.In("other").AddClient(keycloak.Client{ID: "web", Secret: "web-secret"})
	s.AddRealm("rotating")
	s.In("rotating").SetRotation(keycloak.DefaultRotation())
	s.In("rotating").AddClient(keycloak.Operator("operator", "operator-secret"))
	p.server, p.known[recordedHost] = s, s.Start()
	t.Cleanup(s.Close)
	p.signer = newSigner(t)
	p.known[recordedCluster] = p.signer.cluster
	p.known[recordedWeb], _ = s.Client("web")["id"].(string)
	p.known[recordedApp], _ = s.Client("mobile")["id"].(string)
	p.known[recordedNobody], _ = s.Client("nobody")["id"].(string)
	return p
}

func (p *player) here(text string) string {
	for there, here := range p.known {
		text = strings.ReplaceAll(text, there, here)
	}
	return text
}

func (p *player) administrator(t *testing.T, what string) {
	t.Helper()
	switch what {
	case "":
	case "disable alice":
		p.server.EnableUser("alice", false)
	case "enable alice":
		p.server.EnableUser("alice", true)
	case "end sessions":
		p.server.Logout("alice")
	case "disable web":
		p.server.EditClient("web", map[string]any{"enabled": false})
	case "enable web":
		p.server.EditClient("web", map[string]any{"enabled": true})
	case "not before":
		p.server.NotBefore(p.now)
	case "shorten the policy":
		p.server.In("rotating").SetRotation(&keycloak.Rotation{Expires: 6 * time.Second, Overlap: 3 * time.Second})
	default:
		t.Fatalf("who is to %q?", what)
	}
}

func (p *player) request(t *testing.T, e exchange) *http.Request {
	t.Helper()
	body := p.signer.body(t, p, e)
	req, err := http.NewRequestWithContext(t.Context(), e.Method, p.server.URL()+p.here(e.Path), strings.NewReader(p.here(body)))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range e.Headers {
		req.Header.Set(name, p.here(value))
	}
	req.Host = req.Header.Get("Host")
	if id, secret, ok := strings.Cut(p.here(e.Basic), ":"); ok {
		if !e.Raw {
			id, secret = url.QueryEscape(id), url.QueryEscape(secret)
		}
		req.SetBasicAuth(id, secret)
	}
	return req
}

func (p *player) play(t *testing.T, e exchange) {
	t.Helper()
	if at, ok := times[e.Name]; ok {
		p.now = time.Unix(at, 0)
	} else {
		p.now = p.now.Add(time.Millisecond)
	}
	if strings.Contains(e.Headers["Authorization"], "{{realm-admin}}") {
		p.known["{{realm-admin}}"] = p.server.ClientToken("administrator", "")
	}
	p.administrator(t, e.Before)
	resp, err := http.DefaultClient.Do(p.request(t, e))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != e.Status {
		t.Fatalf("status %d, want %d: %s", resp.StatusCode, e.Status, body)
	}
	if got := resp.Header.Get("Content-Type"); got != e.ContentType {
		t.Errorf("Content-Type %q, want %q", got, e.ContentType)
	}
	if got, want := resp.Header.Get("Location"), p.here(e.Location); got != want && !chosen(want, e.Body) {
		t.Errorf("Location %q, want %q", got, want)
	} else if got != want {
		p.known[path.Base(want)] = path.Base(got)
	}
	if e.AnyBody {
		return
	}
	var got any
	if len(body) > 0 {
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("body is no JSON: %s", body)
		}
	}
	p.learn(e.Answer, got)
	want, got := plain(p, e.Answer), plain(p, got)
	switch {
	case strings.Contains(e.Path, ".well-known") && e.Status == http.StatusOK:
		want = common(want, got)
	case slices.Contains(partly, e.Name):
		want, got = shared(t, e.Path, want, got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-recorded +here):\n%s", diff)
	}
}

// chosen reports whether the id in a Location is the server's.
func chosen(location, body string) bool {
	return location != "" && !strings.Contains(body, location[strings.LastIndex(location, "/")+1:])
}

// learn binds the tokens that the recording names.
// and the secrets that the server chose.
func (p *player) learn(there, here any) {
	recorded, _ := there.(map[string]any)
	answered, _ := here.(map[string]any)
	for member, value := range recorded {
		name, _ := value.(string)
		if actual, ok := answered[member].(string); ok && (strings.HasPrefix(name, "{{") || member == "value" && len(name) >= 16) {
			p.known[name] = actual
		}
	}
}

var position = regexp.MustCompile(`at line \d+ column \d+`)

// volatile are members that differ from one time to the next.
var volatile = []string{
	"exp", "iat", "jti", "sub", "sid", "session_state", "access_token", "refresh_token", "id_token", "not-before-policy",
	"realm_access", "consentRequired", "userinfo.token.claim", "introspection_endpoint_auth_methods_supported",
	"token_endpoint_auth_methods_supported", "grant_types_supported", "value",
}

// plain is an answer without what is volatile.
func plain(p *player, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for member, value := range v {
			if member == "secret" || member == "client.secret.rotated" {
				value = p.secret(value)
			}
			if text, ok := value.(string); ok && member == "value" && len(text) < 16 {
				out[member] = text // a secret that was set
			}
			if !slices.Contains(volatile, member) {
				out[member] = plain(p, value)
			}
		}
		return out
	case []any:
		var out []any
		for _, item := range v {
			out = append(out, plain(p, item))
		}
		return out
	case string:
		words := strings.Fields(position.ReplaceAllString(p.here(v), "at L"))
		if !strings.ContainsAny(v, ":.") { // `scope` is a set
			slices.Sort(words)
		}
		return strings.Join(words, " ")
	default:
		return v
	}
}

// secret is one that a test set, or that the server chose: those differ.
func (p *player) secret(v any) any {
	if text, _ := v.(string); len(text) >= 16 {
		return "chosen"
	}
	return v
}
