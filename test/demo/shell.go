// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// wide is where a shown command is broken into lines.
const wide = 100

// shell runs a command in the demo's directory, as a user with its env.sh would,
// and returns what it printed.
func (d *demo) shell(ctx context.Context, line string) (string, error) {
	// What a command writes may be a credential.
	cmd := exec.CommandContext(ctx, "sh", "-c", "umask 077; "+line)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+filepath.Join(d.dir, adminKubeconfig),
		"PATH="+filepath.Join(d.dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", line, errors.Join(err, ctx.Err()), strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// run shows a command and what came of it.
func (d *demo) run(ctx context.Context, line string) (string, error) {
	d.command(line)
	out, err := d.shell(ctx, line)
	if err == nil {
		d.output(out)
	}
	return out, err
}

// ask shows a request as a curl command, and the answer. It is curl that asks,
// where there is one.
func (d *demo) ask(ctx context.Context, r request) (answer, error) {
	quoted := quoteAll(r.curl())
	d.command(fold(quoted))
	if _, err := exec.LookPath("curl"); err != nil {
		a, err := r.do(ctx, d.dir)
		if err == nil {
			d.output(a.show(r.head))
		}
		return a, err
	}
	out, err := d.shell(ctx, strings.Join(quoted, " "))
	if err != nil {
		return answer{}, err
	}
	d.output(out)
	return parseCurl(out, r.head)
}

// quote makes an argument one word of a shell.
func quote(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

func quoteAll(args []string) []string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = quote(arg)
	}
	return quoted
}

// fold breaks a long command before its options.
func fold(words []string) string {
	line, width := words[0], len(words[0])
	for i := 1; i < len(words); i++ {
		word := words[i]
		if strings.HasPrefix(word, "-") && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") && i+2 < len(words) {
			word += " " + words[i+1] // an option stays with its value
			i++
		}
		if width+1+len(word) > wide {
			line, width = line+" \\\n      "+word, len(word)
			continue
		}
		line, width = line+" "+word, width+1+len(word)
	}
	return line
}
