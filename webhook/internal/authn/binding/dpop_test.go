// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	invalidProof = "invalid_dpop_proof"
	boundToken   = "bound_token"
)

// Each row is what RFC 9449 section 4.3 demands, broken once (or allowed to differ).
func TestProof(t *testing.T) {
	c := newClient(t, "ES256")
	other := newClient(t, "ES256")
	d, err := c.key.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	private := c.changed(c.jwk(), object{"d": encode(d)})
	long := strings.Repeat("x", 257)
	tests := map[string]struct {
		reason  string
		header  object
		claims  object
		signer  *client // whose signature; c's if nil
		proofs  func(proof string) []string
		ask     func(q *Question)
		want    string
		mention string
	}{
		"good":                {reason: "all is as it should be", want: "ok"},
		"no proof":            {reason: "4.3 no. 1: one header", proofs: func(string) []string { return nil }, want: invalidProof, mention: "send a proof"},
		"two proofs":          {reason: "4.3 no. 1: not more than one", proofs: func(p string) []string { return []string{p, p} }, want: invalidProof, mention: "two"},
		"two joined proofs":   {reason: "Envoy joins two headers", proofs: func(p string) []string { return []string{p + "," + p} }, want: invalidProof, mention: "two"},
		"empty":               {reason: "4.3 no. 2: a JWT", proofs: func(string) []string { return []string{""} }, want: invalidProof},
		"no JWT":              {reason: "4.3 no. 2: a JWT", proofs: func(string) []string { return []string{"proof"} }, want: invalidProof},
		"two parts":           {reason: "4.3 no. 2: a JWT", proofs: func(p string) []string { return []string{p[:strings.LastIndexByte(p, '.')]} }, want: invalidProof},
		"four parts":          {reason: "4.3 no. 2: a JWT", proofs: func(p string) []string { return []string{p + ".x"} }, want: invalidProof},
		"no signature":        {reason: "an unsecured JWT", proofs: func(p string) []string { return []string{p[:strings.LastIndexByte(p, '.')+1]} }, want: invalidProof},
		"a line break":        {reason: "Go's decoder skips it, others don't", proofs: func(p string) []string { return []string{p[:9] + "\n" + p[9:]} }, want: invalidProof},
		"padded":              {reason: "base64url is without padding (RFC 7515 section 2)", proofs: func(p string) []string { return []string{p + "=="} }, want: invalidProof},
		"no jti":              {reason: "4.3 no. 3: all claims", claims: object{"jti": nil}, want: invalidProof, mention: "jti"},
		"empty jti":           {reason: "says nothing", claims: object{"jti": ""}, want: invalidProof, mention: "jti"},
		"jti is a number":     {reason: "RFC 7519 section 4.1.7: a string", claims: object{"jti": 7}, want: invalidProof, mention: "jti"},
		"jti of 256 bytes":    {reason: "the longest", claims: object{"jti": long[1:]}, want: "ok"},
		"jti of 257 bytes":    {reason: "unbounded", claims: object{"jti": long}, want: invalidProof, mention: "jti"},
		"no htm":              {reason: "4.3 no. 3", claims: object{"htm": nil}, want: invalidProof, mention: "htm"},
		"no htu":              {reason: "4.3 no. 3", claims: object{"htu": nil}, want: invalidProof, mention: "htu"},
		"no iat":              {reason: "4.3 no. 3", claims: object{"iat": nil}, want: invalidProof, mention: "iat"},
		"no typ":              {reason: "4.3 no. 4", header: object{"typ": nil}, want: invalidProof, mention: "typ"},
		"another typ":         {reason: "4.3 no. 4: an ID token signed by the client's key is no proof", header: object{"typ": "JWT"}, want: invalidProof, mention: "typ"},
		"typ in capitals":     {reason: "media types have no case", header: object{"typ": "DPoP+JWT"}, want: "ok"},
		"no alg":              {reason: "4.3 no. 5", header: object{"alg": nil}, want: invalidProof, mention: "alg"},
		"alg none":            {reason: "4.3 no. 5", header: object{"alg": "none"}, want: invalidProof, mention: "alg"},
		"alg HS256":           {reason: "4.3 no. 5: asymmetric", header: object{"alg": "HS256"}, want: invalidProof, mention: "alg"},
		"alg of another key":  {reason: "key type and algorithm disagree", header: object{"alg": "RS256"}, want: invalidProof, mention: "signature"},
		"alg of other curve":  {reason: "ES384 with P-256", header: object{"alg": "ES384"}, want: invalidProof, mention: "signature"},
		"another's signature": {reason: "4.3 no. 6", signer: other, want: invalidProof, mention: "signature"},
		"no jwk":              {reason: "4.3 no. 6: the key is in the proof", header: object{"jwk": nil, "kid": "k"}, want: invalidProof, mention: "jwk"},
		"jwk is a string":     {reason: "4.3 no. 6", header: object{"jwk": "k"}, want: invalidProof, mention: "jwk"},
		"symmetric jwk":       {reason: "4.3 no. 7", header: object{"jwk": object{"kty": "oct", "k": "c2VjcmV0"}}, want: invalidProof, mention: "public"},
		"private jwk":         {reason: "4.3 no. 7: no private key", header: object{"jwk": private}, want: invalidProof, mention: "public"},
		"private RSA members": {reason: "4.3 no. 7: whatever the type", header: object{"jwk": c.changed(c.jwk(), object{"p": "AA"})}, want: invalidProof, mention: "public"},
		"header is no object": {reason: "4.3 no. 2: a JWT", proofs: func(p string) []string { return []string{encode([]byte("7")) + p[strings.IndexByte(p, '.'):]} }, want: invalidProof},
		"not on the curve":    {reason: "an invalid point", header: object{"jwk": c.changed(c.jwk(), object{"y": c.jwk()["x"]})}, want: invalidProof, mention: "jwk"},
		"kid, jku, x5c":       {reason: "a key comes from jwk only", header: object{"kid": "k", "jku": "https://evil.example.com/keys", "x5c": []string{}}, want: "ok"},
		"crit":                {reason: "RFC 7515 section 4.1.11", header: object{"crit": []string{"exp"}, "exp": 1}, want: invalidProof, mention: "crit"},
		"crit b64":            {reason: "the library would understand it", header: object{"crit": []string{"b64"}, "b64": true}, want: invalidProof, mention: "crit"},
		"another method":      {reason: "4.3 no. 8", claims: object{"htm": "POST"}, want: invalidProof, mention: "htm"},
		"method in lower":     {reason: "methods have case", claims: object{"htm": "get"}, want: invalidProof, mention: "htm"},
		"another path":        {reason: "4.3 no. 9", claims: object{"htu": testResource + "/orders/8"}, want: invalidProof, mention: testResource},
		"another host":        {reason: "4.3 no. 9", claims: object{"htu": "https://evil.example.com/orders/7"}, want: invalidProof, mention: "htu"},
		"htu with a query":    {reason: "4.3 no. 9: ignored", claims: object{"htu": testURL + "?a=b#c"}, want: "ok"},
		"a nonce":             {reason: "4.3 no. 10: none was asked for", claims: object{"nonce": "n"}, want: "ok"},
		"iat 60 s ago":        {reason: "4.3 no. 11: the oldest", claims: object{"iat": testNow.Unix() - 60}, want: "ok"},
		"iat 61 s ago":        {reason: "4.3 no. 11", claims: object{"iat": testNow.Unix() - 61}, want: invalidProof, mention: "too old"},
		"iat 10 s ahead":      {reason: "a clock that is off", claims: object{"iat": testNow.Unix() + 10}, want: "ok"},
		"iat 11 s ahead":      {reason: "4.3 no. 11", claims: object{"iat": testNow.Unix() + 11}, want: invalidProof, mention: "future"},
		"iat with a fraction": {reason: "RFC 7519 NumericDate", claims: object{"iat": float64(testNow.Unix()) + 0.5}, want: "ok"},
		"iat is a string":     {reason: "RFC 7519 NumericDate", claims: object{"iat": "1800000000"}, want: invalidProof, mention: "iat"},
		"iat is null":         {reason: "RFC 7519 NumericDate", claims: object{"iat": json.RawMessage("null")}, want: invalidProof, mention: "iat"},
		"iat is huge":         {reason: "no instant", claims: object{"iat": json.RawMessage("1e300")}, want: invalidProof, mention: "iat"},
		"no ath":              {reason: "4.3 no. 12", claims: object{"ath": nil}, want: invalidProof, mention: "ath"},
		"another ath":         {reason: "4.3 no. 12: a proof for another token", claims: object{"ath": encode(make([]byte, 32))}, want: invalidProof, mention: "ath"},
		"another token":       {reason: "4.3 no. 12", ask: func(q *Question) { q.Token = token.New("another") }, want: invalidProof, mention: "ath"},
		"another key":         {reason: "4.3 no. 12: the token's", ask: func(q *Question) { q.Facts = &token.Facts{Bound: true, JKT: other.jkt()} }, want: invalidProof, mention: "another key"},
		"jkt is no hash":      {reason: "equals nothing", ask: func(q *Question) { q.Facts = &token.Facts{Bound: true, JKT: "?"} }, want: invalidProof, mention: "another key"},
		"too long":            {reason: "refused unread", claims: object{"pad": strings.Repeat("x", maxProof)}, want: invalidProof, mention: "longer"},
		"no resource":         {reason: "the gateway's host is the sender's word", ask: func(q *Question) { q.Resource = "" }, want: boundToken, mention: "spec.resource.identifier"},
		"broken resource":     {reason: "no URL", ask: func(q *Question) { q.Resource = "orders" }, want: boundToken, mention: "spec.resource.identifier"},
		"no method":           {reason: "a gateway that does not tell", ask: func(q *Question) { q.HTTP.Method = "" }, want: boundToken, mention: "gateway"},
		"no target":           {reason: "a gateway that does not tell", ask: func(q *Question) { q.HTTP.Target = "" }, want: boundToken, mention: "gateway"},
		"odd resource":        {reason: "no quote in a challenge", ask: func(q *Question) { q.Resource = `https://a/b"\é` }, want: invalidProof, mention: "the API's URL"},
		"long resource":       {reason: "no long challenge", ask: func(q *Question) { q.Resource += "/" + strings.Repeat("a", 512) }, want: invalidProof, mention: "the API's URL"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			signer := tc.signer
			if signer == nil {
				signer = c
			}
			raw := signer.sign(c.changed(c.header(), tc.header), c.changed(c.claims("id-1"), tc.claims))
			q := c.question(raw)
			if tc.proofs != nil {
				q.HTTP.Proofs = tc.proofs(raw)
			}
			if tc.ask != nil {
				tc.ask(q)
			}
			v := New(Options{Clock: newWatch().Now})
			if diff := cmp.Diff(tc.want, outcomeOf(t, v, q)); diff != "" {
				t.Fatalf("%s: (-want +got)\n%s", tc.reason, diff)
			}
			if tc.want == "ok" {
				return
			}
			d, _ := v.Check(q)
			if d.Challenge.DPoP != (tc.want == invalidProof) || !strings.Contains(d.Message, tc.mention) {
				t.Errorf("%s: DPoP %t, message %q, want one about %q", tc.reason, d.Challenge.DPoP, d.Message, tc.mention)
			}
			if len(v.used.now.marks) != 0 {
				t.Errorf("%s: a refused proof was used up", tc.reason)
			}
		})
	}
}

func TestProofAlgorithms(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"} {
		t.Run(alg, func(t *testing.T) {
			c := newClient(t, alg)
			v := New(Options{Clock: newWatch().Now})
			if got := outcomeOf(t, v, c.question(c.proof("id-1"))); got != "ok" {
				t.Fatalf("a good proof: %s", got)
			}
			bad := []byte(c.proof("id-2"))
			at := strings.LastIndexByte(string(bad), '.') + 10
			if bad[at]++; bad[at] == 'z'+1 || bad[at] == 'Z'+1 || bad[at] == '9'+1 || bad[at] == '.' {
				bad[at] = 'A'
			}
			if got := outcomeOf(t, v, c.question(string(bad))); got != invalidProof {
				t.Errorf("a broken signature: %s", got)
			}
		})
	}
}

// A key that the client chose must neither be weak nor cost us much.
func TestProofRSASize(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	small := &client{t: t, key: key, alg: "RS256"}
	v := New(Options{Clock: newWatch().Now})
	if d, _ := v.Check(small.question(small.proof("id-1"))); d == nil || !strings.Contains(d.Message, "2048") {
		t.Errorf("1024 bits: %+v", d)
	}
	c := newClient(t, "RS256")
	huge := c.changed(c.jwk(), object{"n": strings.Repeat("_", 4097/6+2)})
	q := c.question(c.sign(c.changed(c.header(), object{"jwk": huge}), c.claims("id-1")))
	if got := outcomeOf(t, v, q); got != invalidProof {
		t.Errorf("4100 bits: %s", got)
	}
}

// Readers differ about a name that comes twice: what we read and what the library reads
// must be one thing.
func TestProofNameTwice(t *testing.T) {
	c := newClient(t, "ES256")
	header, err := json.Marshal(c.header())
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(c.claims("id-1"))
	if err != nil {
		t.Fatal(err)
	}
	v := New(Options{Clock: newWatch().Now})
	for name, raw := range map[string]string{
		"typ": c.signRaw([]byte(`{"typ":"dpop+jwt",`+string(header[1:])), claims),
		"htu": c.signRaw(header, []byte(`{"htu":"https://evil.example.com/",`+string(claims[1:]))),
	} {
		if got := outcomeOf(t, v, c.question(raw)); got != invalidProof {
			t.Errorf("%s twice: %s", name, got)
		}
	}
}

// The example of RFC 9449 section 7.1, made by nobody here.
func TestProofOfTheStandard(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
		".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9" +
		".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	v := New(Options{Clock: func() time.Time { return time.Unix(1562262618, 0) }})
	q := &Question{
		Token:    token.New("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
		Scheme:   token.SchemeDPoP,
		Facts:    &token.Facts{Bound: true, JKT: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
		HTTP:     &token.HTTPRequest{Method: "GET", Target: "/protectedresource", Proofs: []string{proof}},
		Resource: "https://resource.example.org",
	}
	if got := outcomeOf(t, v, q); got != "ok" {
		d, _ := v.Check(q)
		t.Fatalf("%s: %s", got, d.Message)
	}
}

// CVE-2025-27144, CVE-2025-30204, CVE-2025-22868: thousands of dots.
func TestCVE202527144Dots(t *testing.T) {
	c := newClient(t, "ES256")
	v := New(Options{Clock: newWatch().Now})
	few, many := c.question("..."), c.question(strings.Repeat(".", maxProof))
	cost := func(q *Question) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = v.Check(q) })
	}
	if got := outcomeOf(t, v, many); got != invalidProof {
		t.Errorf("dots: %s", got)
	}
	if a, b := cost(few), cost(many); b > a {
		t.Errorf("three dots: %v allocations, 8 KiB of dots: %v", a, b)
	}
}
