// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	webhookCA      = "webhook-ca.crt"
	decisionHeader = "Introspection-Decision"
	inactive       = `{"active":false}`
	ordersScope    = "orders.read"
)

// forwardAuth asks as the declared gateway does about the token in bearer.
func (d *demo) forwardAuth(bearer string) request {
	return request{
		url: "https://" + d.urls.authorize + "/authorize/shop/orders", ca: webhookCA, cert: gatewayCert, key: gatewayKey,
		bearer: bearer, head: true,
		headers: []string{"X-Original-URL: https://orders.example.com/orders/7", "X-Original-Method: GET"},
	}
}

// activeIsNotAuthorized is step 3.
func (d *demo) activeIsNotAuthorized(ctx context.Context) error {
	if err := errors.Join(
		d.signIn(ctx, "alice", goodToken), d.signIn(ctx, "noscope", withoutScope), d.signIn(ctx, "billing", ofAnotherAPI),
	); err != nil {
		return err
	}
	d.say("alice signed in three times; her tokens are %s: alice.token with the scope orders.read, "+
		"noscope.token without it, billing.token for another API.", d.facts.says.tokens)
	d.say("")
	d.say("A live token for our API, without the scope. The server, asked as the operator would (the")
	d.say("credential comes from the operator's own record: no workload ever has it), calls it active:")
	a, err := d.ask(ctx, d.atServer("operator.curl", "noscope.token"))
	if err != nil {
		return err
	}
	d.check(activity(a) == isActive, d.facts.name+": "+isActive, a.show(false))
	d.say("Our policy refuses it, and names the scope that is missing:")
	a, err = d.ask(ctx, d.forwardAuth("noscope.header"))
	if err != nil {
		return err
	}
	challenge := a.header.Get("WWW-Authenticate")
	d.check(a.status == 403, "403", fmt.Sprint(a.status))
	d.check(strings.Contains(challenge, `error="insufficient_scope"`), "insufficient_scope", challenge)
	d.check(strings.Contains(challenge, `scope="orders.read"`), "the scope that is missing: orders.read", challenge)
	return d.anotherAPI(ctx)
}

// anotherAPI is the second half of step 3.
func (d *demo) anotherAPI(ctx context.Context) error {
	d.say("")
	d.say("A live token of another API. %s", map[string]string{
		isInactive: "The server answers us a bare active:false, which says nothing:",
		isActive:   "The server calls it active to whoever asks, and leaves its aud to us:",
	}[d.facts.says.otherAPI])
	a, err := d.ask(ctx, d.atServer("operator.curl", "billing.token"))
	if err != nil {
		return err
	}
	d.check(activity(a) == d.facts.says.otherAPI, d.facts.name+": "+d.facts.says.otherAPI, a.show(false))
	d.say("We refuse it, and the decision's id leads to the reason:")
	a, err = d.ask(ctx, d.forwardAuth("billing.header"))
	if err != nil {
		return err
	}
	id := a.header.Get(decisionHeader)
	d.check(a.status == 401, "401", fmt.Sprint(a.status))
	d.check(id != "", "a header "+decisionHeader, a.show(true))
	if id == "" {
		return nil
	}
	line, err := d.run(ctx, "grep "+quote(id)+" logs/webhook.log")
	if err != nil {
		return err
	}
	d.check(strings.Contains(line, d.facts.says.why), "the line says: "+d.facts.says.why, line)
	return nil
}

// identity is step 4.
func (d *demo) identity(ctx context.Context) error {
	a, err := d.ask(ctx, d.forwardAuth("alice.header"))
	if err != nil {
		return err
	}
	subject, err := d.subject(ctx)
	if err != nil {
		return err
	}
	d.check(a.status == 200, "200", fmt.Sprint(a.status))
	d.check(a.header.Get("X-Auth-Subject") == subject, "X-Auth-Subject is the token's sub", a.header.Get("X-Auth-Subject"))
	if d.facts.says.username == named {
		d.check(a.header.Get("X-Auth-Username") == "alice", "X-Auth-Username is alice", a.header.Get("X-Auth-Username"))
	}
	if err := d.write("garbage.header", "Authorization: Bearer garbage\n"); err != nil {
		return err
	}
	a, err = d.ask(ctx, d.forwardAuth("garbage.header"))
	if err != nil {
		return err
	}
	d.check(a.status == 401, "garbage: 401", fmt.Sprint(a.status))
	return d.throughNginx(ctx, subject)
}

// throughNginx is the same with a real gateway in front of an API.
func (d *demo) throughNginx(ctx context.Context, subject string) error {
	if err := d.startGateway(ctx); err != nil || d.gateway == "" {
		return err
	}
	d.say("")
	d.say("The same through a real nginx (nginx/nginx.conf) in front of an API that says who it thinks")
	d.say("asks. The client claims to be root; the API sees alice, and no token:")
	api := request{url: d.gateway + "/orders/7", bearer: "alice.header", headers: []string{"X-Auth-Subject: root"}}
	a, err := d.ask(ctx, api)
	if err != nil {
		return err
	}
	username := "[]"
	if d.facts.says.username == named {
		username = `["alice"]`
	}
	want := fmt.Sprintf("orders of: subject=[%q] username=%s, token seen: false", subject, username)
	d.check(a.status == 200 && strings.TrimSpace(a.body) == want, "the API sees alice's identity once, not root, and no token", a.show(false))
	api.bearer, api.head = "noscope.header", true
	a, err = d.ask(ctx, api)
	if err != nil {
		return err
	}
	d.check(a.status == 403 && strings.Contains(a.header.Get("WWW-Authenticate"), "insufficient_scope"), "nginx: 403, with the challenge", a.show(true))
	return nil
}

// facade is step 5.
func (d *demo) facade(ctx context.Context) error {
	d.say("What the Secret holds, as a workload has it (a file, since a command line is no place for a secret):")
	for _, line := range []string{
		`kubectl get secret orders -n shop > orders.curl \` + "\n      " +
			`-o go-template='user = "{{.data.client_id | base64decode}}:{{.data.client_secret | base64decode}}"'`,
		`kubectl get secret orders -n shop -o go-template='{{index .data "ca.crt" | base64decode}}' > orders-ca.crt`,
	} {
		if _, err := d.run(ctx, line); err != nil {
			return err
		}
	}
	endpoint, err := d.run(ctx, `kubectl get secret orders -n shop -o go-template='{{.data.introspection_endpoint | base64decode}}'`)
	if err != nil {
		return err
	}
	ours := request{url: strings.TrimSpace(endpoint), ca: "orders-ca.crt", user: "orders.curl", form: []string{"token@alice.token"}}
	a, err := d.ask(ctx, ours)
	if err != nil {
		return err
	}
	c := claims(a)
	d.check(a.status == 200 && c["active"] == true && c["token_type"] != nil, "active:true, and the claims", a.show(false))
	scope, _ := c["scope"].(string)
	subject, err := d.subject(ctx)
	if err != nil {
		return err
	}
	d.check(c["sub"] == subject && slices.Contains(strings.Fields(scope), ordersScope), "they are alice's, with orders.read", a.body)
	ours.form = []string{"token@noscope.token"}
	if a, err = d.ask(ctx, ours); err != nil {
		return err
	}
	d.check(a.status == 200 && a.body == inactive, "a token that the policy refuses: exactly "+inactive, a.show(false))
	d.say("The same credentials at the server: good for nothing.")
	if a, err = d.ask(ctx, d.atServer("orders.curl", "alice.token")); err != nil {
		return err
	}
	d.check(a.status == 401, "401 at "+d.facts.name, a.show(false))
	return nil
}

// subject is alice's, as the server names it.
func (d *demo) subject(ctx context.Context) (string, error) {
	a, err := d.atServer("operator.curl", "alice.token").do(ctx, d.dir)
	if err != nil {
		return "", err
	}
	subject, _ := claims(a)["sub"].(string)
	if subject == "" {
		return "", errors.New("the server names no subject")
	}
	return subject, nil
}

// claims is an introspection's answer; empty if it is none.
func claims(a answer) map[string]any {
	var c map[string]any
	if err := json.Unmarshal([]byte(a.body), &c); err != nil {
		return nil
	}
	return c
}
