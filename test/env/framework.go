// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const frameworkStart = time.Minute

// Framework is a running program of test/frameworks.
type Framework struct {
	child *child
}

// FrameworkOptions are what a program of test/frameworks runs with.
type FrameworkOptions struct {
	// Root is the repository's, whose sources the program was built of.
	Root string
	// Jar is the file to run, below test/frameworks.
	Jar string
	// Env is the program's whole environment, but for PATH and HOME.
	Env []string
	// Address is where the program will listen.
	Address string
	// Dir is its working directory and home; its log is Dir/java.log.
	Dir string
}

// StartFramework runs a program that make frameworks built of the sources as they are
// now. It is ready when it takes connections; ctx bounds the start.
func StartFramework(ctx context.Context, o FrameworkOptions) (*Framework, error) {
	built, err := builtFrameworks(o.Root)
	if err != nil {
		return nil, err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("finding Java: %w", err)
	}
	cmd := exec.Command(java, "-Xmx256m", "-Djava.io.tmpdir="+o.Dir, "-jar", filepath.Join(built, o.Jar)) //nolint:noctx // ours; ends with Stop
	cmd.Dir = o.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.Dir}, o.Env...)
	c, err := startChild(cmd, filepath.Join(o.Dir, "java.log"))
	if err != nil {
		return nil, err
	}
	if err := c.awaitListening(ctx, frameworkStart, []string{o.Address}); err != nil {
		return nil, err
	}
	return &Framework{child: c}, nil
}

// Stop ends the program.
func (f *Framework) Stop() error {
	return f.child.stop(context.Background())
}

// FrameworkForTest is StartFramework for one test, stopped at its end. Dir is a
// temporary one.
func FrameworkForTest(tb testing.TB, o FrameworkOptions) {
	tb.Helper()
	o.Dir = tb.TempDir()
	f, err := StartFramework(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stopped(tb, f.Stop()) })
}

// builtFrameworks is where hack/frameworks.sh put what it built of the sources: named by
// the hash of the page and of all files in the order of their paths.
func builtFrameworks(root string) (string, error) {
	files := []string{}
	err := filepath.WalkDir(filepath.Join(root, "test/frameworks"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("looking for the programs' sources: %w", err)
	}
	slices.Sort(files)
	hash := sha256.New()
	for _, file := range append([]string{filepath.Join(root, "docs/frameworks.md")}, files...) {
		content, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			return "", fmt.Errorf("reading the programs' sources: %w", err)
		}
		hash.Write(content)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	built := filepath.Join(cache, "frameworks", hex.EncodeToString(hash.Sum(nil)))
	if _, err := os.Stat(filepath.Join(built, ".built")); err != nil {
		return "", errors.Join(errors.New("the programs of test/frameworks are not built as they are now: run `make frameworks`"), err)
	}
	return built, nil
}
