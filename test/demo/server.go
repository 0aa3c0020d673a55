// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// authServer is the authorization server that the story is told on.
type authServer interface {
	// start starts it, and again after stop: with what it knew.
	start(ctx context.Context) error
	stop(ctx context.Context) error
	// registrations are the ids of the clients that the operator registered, as the
	// server keeps them.
	registrations(ctx context.Context) ([]string, error)
	// remove deletes a registration behind the operator's back, as its people would.
	remove(ctx context.Context, id string) error
	// leftovers are what the operator wired at the server beside its clients.
	leftovers(ctx context.Context) ([]string, error)
}

// facts are what the steps need to know of a server.
type facts struct {
	name string // in sentences
	says says
	// parts are lines about it, for the beginning; file is its log, if it has one of its own.
	parts string
	file  string
	// issuer, and the endpoints below it.
	issuer, token, introspection string

	// sample is its directory in config/samples; connection is the server's, and patches are JSON patches
	// beside it, by kind.
	sample, connection string
	patches            map[string]string
	// signsIn are words about the operator's credential, and secret the command that makes its Secret.
	signsIn, secret string

	// grant is how alice signs in, and tokens the client and the scope for each (no client: there is no
	// such token); where secrets is set the client proves itself by the file <client>.curl.
	grant   url.Values
	tokens  map[kind]asked
	secrets bool
	// end is what ends the token of that name at the server, and ended its answer's status.
	end   func(name string) request
	ended int
	// hints are more lines for whoever stays.
	hints []string
}

// kind of token.
type kind int

const (
	goodToken kind = iota
	withoutScope
	ofAnotherAPI
	goodJWT // only where alice's other tokens are none
)

// asked is a client and the scope that it asks for.
type asked struct{ client, scope string }

// Servers, by what SERVER names.
const (
	serverEmbedded = "embedded"
	serverKeycloak = "keycloak"
	serverDuende   = "duende"
)

// useServer chooses the server; empty means the embedded one. It starts nothing.
func (d *demo) useServer(name string) error {
	var err error
	switch name {
	case "", serverEmbedded:
		d.server, d.facts, err = newEmbedded(d)
	case serverKeycloak:
		d.server, d.facts, err = newKeycloak(d)
	case serverDuende:
		d.server, d.facts, err = newDuende(d)
	default:
		err = fmt.Errorf("SERVER is %q: it must be %s, %s or %s", name, serverEmbedded, serverKeycloak, serverDuende)
	}
	return err
}

// signIn gets alice a token and keeps it in files named after it: name.token,
// name.header (as curl's -H @file takes it) and name.refresh.
func (d *demo) signIn(ctx context.Context, name string, k kind) error {
	ask := d.facts.tokens[k]
	if ask.client == "" {
		return fmt.Errorf("%s has no such token for %s", d.facts.name, name)
	}
	return d.grant(ctx, name, d.tokenRequest(ask))
}

func (d *demo) tokenRequest(ask asked) request {
	r := request{url: d.facts.token, ca: serverCA}
	form := url.Values{"username": {"alice"}, "scope": {ask.scope}}
	if d.facts.secrets {
		r.user = ask.client + ".curl"
	} else {
		form.Set("client_id", ask.client)
	}
	for member := range d.facts.grant {
		form.Set(member, d.facts.grant.Get(member))
	}
	for member := range form {
		if value := form.Get(member); value != "" { // Keycloak refuses an empty scope
			r.form = append(r.form, member+"="+value)
		}
	}
	return r
}

func (d *demo) grant(ctx context.Context, name string, r request) error {
	a, err := r.do(ctx, d.dir)
	if err != nil {
		return err
	}
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Error   string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(a.body), &tokens); err != nil {
		return fmt.Errorf("signing in as %s: HTTP %d and no JSON", name, a.status)
	}
	if a.status != http.StatusOK || tokens.Access == "" {
		return fmt.Errorf("signing in as %s: HTTP %d %s", name, a.status, tokens.Error)
	}
	d.secret(tokens.Access)
	d.secret(tokens.Refresh)
	return errors.Join(
		d.write(name+".token", tokens.Access),
		d.write(name+".refresh", tokens.Refresh),
		d.write(name+".header", "Authorization: Bearer "+tokens.Access+"\n"))
}

// atServer introspects at the server itself.
func (d *demo) atServer(user, token string) request {
	return request{url: d.facts.introspection, ca: serverCA, user: user, form: []string{"token@" + token}}
}

// activity is what an introspection says: active:true or active:false, or the status.
func activity(a answer) string {
	if active, ok := claims(a)["active"].(bool); ok && a.status == http.StatusOK {
		return fmt.Sprintf("active:%t", active)
	}
	return fmt.Sprint(a.status)
}

// signInScript gets alice another token, by curl.
func (d *demo) signInScript() string {
	var form strings.Builder
	for member := range d.facts.grant {
		if member == "password" {
			form.WriteString(" --data-urlencode password@alice.password")
			continue
		}
		form.WriteString(" -d " + member + "=" + d.facts.grant.Get(member))
	}
	client := `-d "client_id=$1"`
	if d.facts.secrets {
		client = `-K "$1.curl"`
	}
	return `# sign-in.sh CLIENT [SCOPE]: alice signs in; makes alice.token and alice.header.
umask 077
printf %s ` + quote(d.alicePassword) + ` > alice.password
curl -s --cacert ` + serverCA + ` ` + client + form.String() + ` -d username=alice \
  -d "scope=$2" ` + d.facts.token + ` |
  sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p' | tr -d '\n' > alice.token
printf 'Authorization: Bearer %s\n' "$(cat alice.token)" > alice.header
`
}
