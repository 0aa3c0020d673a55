// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed" // the server, and the lock of what it needs
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A second on an idle machine; tests run beside builds.
const oidcProviderStart = 2 * time.Minute

//go:embed oidcprovider/server.mjs
var oidcProviderServer []byte

//go:embed oidcprovider/package-lock.json
var oidcProviderLock []byte

// Resources (RFC 8707) that the provider always knows: what a token asked for
// with resource= is like. Of any other resource it makes opaque tokens.
const (
	// OIDCProviderOpaque gets opaque tokens.
	OIDCProviderOpaque = "https://orders.example.com"
	// OIDCProviderJWT gets JWTs (RFC 9068).
	OIDCProviderJWT = "https://jwt.example.com"
)

// OIDCProviderOptions says what to start. The zero value but for Dir is what
// its users mostly have: registration needs an initial access token, and can be
// managed.
type OIDCProviderOptions struct {
	// Dir takes the server and its log oidc-provider.log.
	Dir string
	// OpenRegistration lets anybody register, without an initial access token.
	OpenRegistration bool
	// NoManagement turns the half of RFC 7592 off that the provider's users must
	// turn on: a client can be read, and not be changed or deleted.
	NoManagement bool
	// NoRegistrationToken turns all of it off: no client can be read either.
	NoRegistrationToken bool
	// RotateRegistrationToken makes each PUT end the registration access token
	// and answer with another one (the provider's own default).
	RotateRegistrationToken bool
	// ExtraMetadata are names that a registration keeps beside those of OpenID
	// Connect; others are dropped without a word, software_id among them.
	ExtraMetadata []string
	// Scopes are those that a client may have; none means orders.read and orders.write.
	Scopes []string
}

// OIDCProvider is one real node-oidc-provider, on 127.0.0.1, over HTTP. All
// that it knows is in memory.
type OIDCProvider struct {
	// URL is where it is called, and Issuer what it says it is: the same, without
	// a slash at the end.
	URL, Issuer string
	// InitialAccessToken registers clients (RFC 7591 section 3.1); empty with OpenRegistration.
	InitialAccessToken string
	// TokenClientID and TokenClientSecret (client_secret_basic) are a client that
	// gets tokens by the client credentials grant.
	TokenClientID, TokenClientSecret string

	child *child
	log   string
}

// StartOIDCProvider starts what make oidc-provider installed and returns when
// it answers. On an error nothing is left running; ctx bounds the start only.
func StartOIDCProvider(ctx context.Context, opts OIDCProviderOptions) (*OIDCProvider, error) {
	installed, err := findOIDCProvider()
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("node is missing (%w): install Node.js 20 or newer (Debian: nodejs)", err)
	}
	if opts.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return nil, fmt.Errorf("laying out the OIDC provider: %w", err)
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	address := "http://127.0.0.1:" + strconv.Itoa(port)
	p := &OIDCProvider{
		URL: address, Issuer: address, InitialAccessToken: rand.Text(),
		TokenClientID: "token-client", TokenClientSecret: rand.Text(), log: filepath.Join(opts.Dir, "oidc-provider.log"),
	}
	if opts.OpenRegistration {
		p.InitialAccessToken = ""
	}
	settings, err := p.settings(opts, port)
	if err != nil {
		return nil, err
	}
	file, err := layOutOIDCProvider(opts.Dir, installed)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(node, file) //nolint:noctx // node of the machine, on our file; ends with Stop
	cmd.Env = append(os.Environ(), "OIDCPROVIDER="+settings)
	if p.child, err = startChild(cmd, p.log); err != nil {
		return nil, err
	}
	if err := p.await(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Log is the path of the log.
func (p *OIDCProvider) Log() string { return p.log }

// Stop ends it. Stopping twice is no error.
func (p *OIDCProvider) Stop(ctx context.Context) error { return p.child.stop(ctx) }

func (p *OIDCProvider) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, oidcProviderStart)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	err := p.child.await(ctx, func(ctx context.Context) error {
		return answersOK(ctx, client, p.URL+"/.well-known/openid-configuration")
	})
	if err != nil {
		return errors.Join(err, p.child.stop(context.WithoutCancel(ctx)))
	}
	return nil
}

// settings is what server.mjs reads of its environment.
func (p *OIDCProvider) settings(opts OIDCProviderOptions, port int) (string, error) {
	if len(opts.Scopes) == 0 {
		opts.Scopes = []string{"orders.read", "orders.write"}
	}
	if opts.ExtraMetadata == nil {
		opts.ExtraMetadata = []string{}
	}
	encoded, err := json.Marshal(map[string]any{
		"issuer": p.Issuer, "port": port, "scopes": opts.Scopes, "extraMetadata": opts.ExtraMetadata,
		"opaqueResources": []string{OIDCProviderOpaque}, "jwtResources": []string{OIDCProviderJWT},
		"tokenClient":        map[string]string{"id": p.TokenClientID, "secret": p.TokenClientSecret},
		"initialAccessToken": p.InitialAccessToken, "management": !opts.NoManagement,
		"registrationToken": !opts.NoRegistrationToken, "rotateRegistrationAccessToken": opts.RotateRegistrationToken,
	})
	if err != nil {
		return "", fmt.Errorf("encoding the OIDC provider's settings: %w", err)
	}
	return string(encoded), nil
}

// layOutOIDCProvider puts the server beside its packages, where node looks for them.
func layOutOIDCProvider(dir, installed string) (file string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("laying out the OIDC provider: %w", err)
	}
	file = filepath.Join(dir, "server.mjs")
	if err := os.WriteFile(file, oidcProviderServer, 0o600); err != nil {
		return "", fmt.Errorf("laying out the OIDC provider: %w", err)
	}
	link := filepath.Join(dir, "node_modules")
	if err := os.Symlink(filepath.Join(installed, "node_modules"), link); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("laying out the OIDC provider: %w", err)
	}
	return file, nil
}

// findOIDCProvider is where make oidc-provider installed what the lock pins.
func findOIDCProvider() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(oidcProviderLock)
	dir := filepath.Join(cache, "oidcprovider", hex.EncodeToString(hash[:])[:16])
	if _, err := os.Stat(filepath.Join(dir, ".built")); err != nil {
		return "", fmt.Errorf("the OIDC provider is missing (%w): run `make oidc-provider`", err)
	}
	return dir, nil
}

// OIDCProviderForTest is StartOIDCProvider for one test, stopped at its end. An
// empty Dir is a temporary one.
func OIDCProviderForTest(tb testing.TB, opts OIDCProviderOptions) *OIDCProvider {
	tb.Helper()
	if opts.Dir == "" {
		opts.Dir = tb.TempDir()
	}
	p, err := StartOIDCProvider(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stopped(tb, p.Stop(context.Background())) })
	return p
}
