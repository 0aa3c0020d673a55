// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	keycloakVersion = "26.7.3"
	// Fifteen seconds on an idle machine; tests run beside builds.
	keycloakStart = 6 * time.Minute
)

// KeycloakOptions says what to start.
type KeycloakOptions struct {
	// Dir takes the instance: its data, and its log keycloak.log.
	Dir string
	// RealmFiles are realms to import at the first start.
	RealmFiles []string
	// CertFile and KeyFile (PEM) turn on TLS; without them it speaks HTTP.
	CertFile, KeyFile string
	// Port to listen on; 0 takes a free one.
	Port int
	// DevFile keeps the database in Dir, so that Stop loses nothing; otherwise it
	// is in memory.
	DevFile bool
}

// Keycloak is one real Keycloak, on 127.0.0.1.
type Keycloak struct {
	// AdminUsername and AdminPassword sign in to the realm master, the password
	// made for this instance.
	AdminUsername, AdminPassword string

	opts       KeycloakOptions
	port       int
	management int
	child      *child
	booted     bool
}

// StartKeycloak starts what make keycloak installed and returns when it is
// ready, realms imported. On an error nothing is left running; ctx bounds the
// start only.
func StartKeycloak(ctx context.Context, opts KeycloakOptions) (*Keycloak, error) {
	if (opts.CertFile == "") != (opts.KeyFile == "") {
		return nil, errors.New("a certificate needs its key and a key its certificate")
	}
	k := &Keycloak{AdminUsername: "admin", AdminPassword: rand.Text(), opts: opts, port: opts.Port}
	if err := k.prepare(); err != nil {
		return nil, err
	}
	var err error
	if k.port == 0 {
		if k.port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	if k.management, err = FreePort(); err != nil {
		return nil, err
	}
	if err := k.Start(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// URL is the base of every realm, such as https://127.0.0.1:20443, without a
// slash at the end.
func (k *Keycloak) URL() string {
	scheme := "http"
	if k.opts.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://127.0.0.1:" + strconv.Itoa(k.port)
}

// Log is the path of the log.
func (k *Keycloak) Log() string {
	return filepath.Join(k.opts.Dir, "keycloak.log")
}

// Start starts it again after Stop, on the same port and data.
func (k *Keycloak) Start(ctx context.Context) error {
	if k.child != nil {
		return errors.New("Keycloak runs already")
	}
	cmd := exec.Command(filepath.Join(k.opts.Dir, "bin", "kc.sh"), k.arguments()...) //nolint:noctx // of make keycloak; ends with Stop
	cmd.Env = append(os.Environ(), "JAVA_OPTS_KC_HEAP=-Xms128m -Xmx512m")
	if !k.booted {
		cmd.Env = append(cmd.Env, "KC_BOOTSTRAP_ADMIN_USERNAME="+k.AdminUsername, "KC_BOOTSTRAP_ADMIN_PASSWORD="+k.AdminPassword)
	}
	c, err := startChild(cmd, k.Log())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, keycloakStart)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	err = c.await(ctx, func(ctx context.Context) error {
		return answersOK(ctx, client, "http://127.0.0.1:"+strconv.Itoa(k.management)+"/health/ready")
	})
	if err != nil {
		return errors.Join(err, c.stop(context.WithoutCancel(ctx)))
	}
	k.child = c
	// In memory everything is new each time, the administrator too.
	k.booted = k.opts.DevFile
	return nil
}

// Stop ends it, gracefully unless ctx or the grace ends first. Stopping twice
// is no error.
func (k *Keycloak) Stop(ctx context.Context) error {
	if k.child == nil {
		return nil
	}
	err := k.child.stop(ctx)
	k.child = nil
	return err
}

func (k *Keycloak) arguments() []string {
	args := []string{
		"start", "--optimized", "--cache=local",
		"--http-host=127.0.0.1", "--hostname-strict=false",
		"--http-management-port=" + strconv.Itoa(k.management),
		"--http-management-scheme=http",
		// We ask whether it is ready again and again, and it would tell each time.
		"--log-level=INFO,io.smallrye.health:WARN",
	}
	if k.opts.CertFile != "" {
		args = append(args, "--https-port="+strconv.Itoa(k.port),
			"--https-certificate-file="+k.opts.CertFile, "--https-certificate-key-file="+k.opts.KeyFile)
	} else {
		args = append(args, "--http-enabled=true", "--http-port="+strconv.Itoa(k.port))
	}
	if !k.opts.DevFile {
		// The build is for dev-file; this is what dev-mem would use.
		args = append(args, "--db-url=jdbc:h2:mem:keycloakdb;NON_KEYWORDS=VALUE;DB_CLOSE_DELAY=-1")
	}
	if !k.booted && len(k.opts.RealmFiles) > 0 {
		args = append(args, "--import-realm")
	}
	return args
}

// prepare lays out a home of its own for the instance: data and configuration
// are its own, the rest is shared with the cache and never written by a start
// that is optimized.
func (k *Keycloak) prepare() error {
	built, err := findKeycloak()
	if err != nil {
		return err
	}
	for _, path := range []*string{&k.opts.Dir, &k.opts.CertFile, &k.opts.KeyFile} {
		if *path == "" {
			continue
		}
		// Keycloak reads relative paths from somewhere else.
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("laying out Keycloak: %w", err)
		}
	}
	imports := filepath.Join(k.opts.Dir, "data", "import")
	for _, dir := range []string{imports, filepath.Join(k.opts.Dir, "bin"), filepath.Join(k.opts.Dir, "conf")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("laying out Keycloak: %w", err)
		}
	}
	// kc.sh finds its home from its own resolved path, so it must be a copy.
	copies := map[string]string{
		filepath.Join(built, "bin", "kc.sh"):           filepath.Join(k.opts.Dir, "bin", "kc.sh"),
		filepath.Join(built, "conf", "cache-ispn.xml"): filepath.Join(k.opts.Dir, "conf", "cache-ispn.xml"),
		filepath.Join(built, "conf", "keycloak.conf"):  filepath.Join(k.opts.Dir, "conf", "keycloak.conf"),
	}
	for _, file := range k.opts.RealmFiles {
		copies[file] = filepath.Join(imports, filepath.Base(file))
	}
	for from, to := range copies {
		if err := copyFile(from, to); err != nil {
			return err
		}
	}
	for _, name := range []string{"lib", "providers", "themes"} {
		link := filepath.Join(k.opts.Dir, name)
		if err := os.Symlink(filepath.Join(built, name), link); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("laying out Keycloak: %w", err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(filepath.Clean(from))
	if err != nil {
		return fmt.Errorf("laying out Keycloak: %w", err)
	}
	if err := os.WriteFile(to, data, 0o700); err != nil { //nolint:gosec // kc.sh is a program
		return fmt.Errorf("laying out Keycloak: %w", err)
	}
	return nil
}

// findKeycloak is the home that make keycloak built: its mark names what it was
// built from, the version or KEYCLOAK_HOME.
func findKeycloak() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	name, source := keycloakVersion, keycloakVersion
	if home := os.Getenv("KEYCLOAK_HOME"); home != "" {
		name, source = "from-home", home
	}
	dir := filepath.Join(cache, "keycloak", name)
	mark, err := os.ReadFile(filepath.Join(dir, ".built"))
	if err != nil {
		return "", fmt.Errorf("Keycloak is missing (%w): run `make keycloak`", err)
	}
	if built := strings.TrimSpace(string(mark)); built != source {
		return "", fmt.Errorf("Keycloak was built from %s and not from %s: run `make keycloak`", built, source)
	}
	return dir, nil
}

// Kcadm is the path of kcadm.sh, Keycloak's command line for administrators.
func (*Keycloak) Kcadm() (string, error) {
	built, err := findKeycloak()
	if err != nil {
		return "", err
	}
	return filepath.Join(built, "bin", "kcadm.sh"), nil
}
