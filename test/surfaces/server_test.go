// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package surfaces_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/engine"
)

const (
	issuer      = "https://sso.example.com/realms/acme"
	otherIssuer = "https://login.example.org"
	// upstreamWords are a server's, which nobody is to be told.
	upstreamWords = "canary-upstream-words"
)

// object is a JSON object.
type object = map[string]any

// signer signs JWTs (RFC 7515), with none of our code.
type signer struct {
	key *ecdsa.PrivateKey
	kid string
}

func newSigner(tb testing.TB, kid string) *signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &signer{key: key, kid: kid}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return encoded
}

// jwk is the public key (RFC 7517).
func (s *signer) jwk(tb testing.TB) object {
	tb.Helper()
	point, err := s.key.PublicKey.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	half := len(point) / 2
	return object{"kty": "EC", "crv": "P-256", "x": encode(point[1 : 1+half]), "y": encode(point[1+half:])}
}

// thumbprint is RFC 7638: the members in the order of their names, which is Go's order of a map.
func (s *signer) thumbprint(tb testing.TB) string {
	tb.Helper()
	sum := sha256.Sum256(marshal(tb, s.jwk(tb)))
	return encode(sum[:])
}

func (s *signer) sign(tb testing.TB, header, claims object) string {
	tb.Helper()
	input := encode(marshal(tb, header)) + "." + encode(marshal(tb, claims))
	digest := sha256.Sum256([]byte(input))
	const size = 32
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + encode(append(r.FillBytes(make([]byte, size)), v.FillBytes(make([]byte, size))...))
}

// changed is an object with changes; nil takes a member out.
func changed(o, changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
			continue
		}
		o[name] = value
	}
	return o
}

// provider is an authorization server: keys, and introspection by what each token is to be.
type provider struct {
	*httptest.Server
	signer *signer
	jwks   []byte

	mu      sync.Mutex
	answers map[string]object
	asked   map[string]int
	// script overrides the answer to all; nil for none.
	script http.HandlerFunc
	// released ends what /held holds back, keys and answers.
	released chan struct{}
	once     sync.Once
	// waiting is how many it holds back.
	waiting atomic.Int64
}

func newProvider(tb testing.TB) *provider {
	tb.Helper()
	p := &provider{signer: newSigner(tb, "k1"), answers: map[string]object{}, asked: map[string]int{}, released: make(chan struct{})}
	p.jwks = marshal(tb, object{"keys": []object{changed(p.signer.jwk(tb), object{"kid": "k1", "use": "sig", "alg": "ES256"})}})
	p.Server = httptest.NewTLSServer(p)
	tb.Cleanup(func() { p.release(); p.Close() })
	return p
}

// release ends what /held holds back, now and later.
func (p *provider) release() { p.once.Do(func() { close(p.released) }) }

// says is what the server answers about a token from now on; nil for inactive.
func (p *provider) says(token string, answer object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[token] = answer
}

func (p *provider) answersBy(script http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = script
}

// calls is how often the server was asked about a token.
func (p *provider) calls(token string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[token]
}

// ServeHTTP is RFC 7662 and RFC 7517. The path says how the server is.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := r.PostFormValue("token") // read to its end: else nobody is told that the caller hung up
	if strings.HasPrefix(r.URL.Path, "/held") {
		p.waiting.Add(1)
		defer p.waiting.Add(-1)
		select {
		case <-r.Context().Done():
			return
		case <-p.released:
		}
	}
	if strings.HasSuffix(r.URL.Path, "/keys") {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(p.jwks)
		return
	}
	p.mu.Lock()
	p.asked[asked]++
	answer, script := p.answers[asked], p.script
	p.mu.Unlock()
	if script != nil {
		script(w, r)
		return
	}
	body, _ := json.Marshal(upstreamWords) //nolint:errchkjson // a string always can
	status := http.StatusOK
	switch r.URL.Path {
	case "/500":
		status = http.StatusInternalServerError
	case "/429":
		status = http.StatusTooManyRequests
	case "/400": // Keycloak with a dead database
		status, body = http.StatusBadRequest, []byte(`{"error":"invalid_request","error_description":"`+upstreamWords+`"}`)
	case "/401":
		status, body = http.StatusUnauthorized, []byte(`{"error":"invalid_client","error_description":"`+upstreamWords+`"}`)
	case "/404":
		status = http.StatusNotFound
	case "/302":
		w.Header().Set("Location", "/introspect")
		status = http.StatusFound
	case "/html":
		body = []byte("<html>" + upstreamWords + "</html>")
	case "/empty":
		body = nil
	case "/text": // active is no boolean
		body = []byte(`{"active":"true","sub":"` + upstreamWords + `"}`)
	case "/large":
		body = marshalled(object{"active": true, "pad": strings.Repeat("x", 2<<20)})
	case "/slow": // until the caller hangs up
		<-r.Context().Done()
		return
	default:
		body = marshalled(object{"active": false})
		if answer != nil {
			body = marshalled(answer)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func marshalled(o object) []byte {
	encoded, err := json.Marshal(o)
	if err != nil {
		panic(err) // they are written in tests
	}
	return encoded
}

// state is the server as the objects tell it; path says how it is.
func (p *provider) state(uid, iss, path string) engine.ServerState {
	return engine.ServerState{
		UID: uid, Name: "server-" + uid, Issuer: iss, IntrospectionEndpoint: p.URL + path, JWKSURI: p.URL + "/keys",
		Types: []string{"at+jwt", "JWT"}, CAPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}),
		Timeout: 5 * time.Second, Namespaces: map[string]struct{}{"shop": {}},
	}
}
