// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// columnSize is what the database holds of a client id and a name.
const columnSize = 255

const mask = "**********"

// clientMembers are those of ClientRepresentation.
func clientMembers() []string {
	return strings.Fields(`id clientId name description type rootUrl adminUrl baseUrl surrogateAuthRequired enabled
		alwaysDisplayInConsole clientAuthenticatorType secret registrationAccessToken defaultRoles redirectUris webOrigins
		notBefore bearerOnly consentRequired standardFlowEnabled implicitFlowEnabled directAccessGrantsEnabled
		serviceAccountsEnabled authorizationServicesEnabled directGrantsOnly publicClient frontchannelLogout protocol
		attributes authenticationFlowBindingOverrides fullScopeAllowed nodeReRegistrationTimeout registeredNodes
		protocolMappers clientTemplate useTemplateConfig useTemplateScope useTemplateMappers defaultClientScopes
		optionalClientScopes authorizationSettings access origin`)
}

// add makes a client of a representation, with the server's defaults.
func (r *realm) add(rep map[string]any) *client {
	full := map[string]any{
		"id": uuid.NewString(), "surrogateAuthRequired": false, "enabled": true, "alwaysDisplayInConsole": false,
		"clientAuthenticatorType": "client-secret", "redirectUris": []any{}, "webOrigins": []any{}, "notBefore": 0,
		"bearerOnly": false, "consentRequired": false, "standardFlowEnabled": true, "implicitFlowEnabled": false,
		"directAccessGrantsEnabled": false, "serviceAccountsEnabled": false, "publicClient": false, "frontchannelLogout": false,
		"protocol": "openid-connect", "authenticationFlowBindingOverrides": map[string]any{}, "fullScopeAllowed": true,
		"nodeReRegistrationTimeout": -1,
	}
	maps.Copy(full, rep)
	attributes := map[string]any{"realm_client": "false"}
	if _, given := rep["protocol"]; given {
		attributes["backchannel.logout.session.required"] = "true"
		attributes["backchannel.logout.revoke.offline.tokens"] = "false"
	}
	given, _ := rep["attributes"].(map[string]any)
	maps.Copy(attributes, given)
	full["attributes"] = attributes
	if full["clientId"] == nil {
		full["clientId"] = full["id"]
	}
	c := &client{rep: full, account: uuid.NewString(), defaults: r.ids(builtInDefaults()), optional: r.ids(builtInOptional())}
	if names, ok := rep["defaultClientScopes"].([]any); ok {
		c.defaults = r.ids(texts(names))
	}
	if names, ok := rep["optionalClientScopes"].([]any); ok {
		c.optional = r.ids(texts(names))
	}
	if !c.on("publicClient") && c.rep["secret"] == nil {
		c.rep["secret"] = rand.Text()
	}
	r.clients[c.id()] = c
	r.entered(c)
	return c
}

func texts(values []any) []string {
	var out []string
	for _, v := range values {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// represent is a client as the server shows it.
func (r *realm) represent(c *client, masked bool) map[string]any {
	rep := maps.Clone(c.rep)
	attributes, _ := c.rep["attributes"].(map[string]any)
	rep["attributes"] = maps.Clone(attributes)
	rep["defaultClientScopes"] = r.names(c.defaults)
	rep["optionalClientScopes"] = r.names(c.optional)
	if rep["secret"] != nil && masked {
		rep["secret"] = mask
	}
	return rep
}

// shown is a client as this caller sees it.
func (c adminCall) shown(found *client) map[string]any {
	rep := c.realm.represent(found, c.masked())
	rep["access"] = map[string]bool{"view": true, "configure": c.manages(), "manage": c.manages()}
	return rep
}

func (c adminCall) listClients() {
	query := c.r.URL.Query()
	if q := query.Get("q"); q != "" {
		name, _, _ := strings.Cut(q, ":")
		refuse(c.w, http.StatusBadRequest, "invalid_request", "Attributes ["+name+"] not allowed for search")
		return
	}
	wanted := query.Get("clientId")
	list := []map[string]any{}
	for _, found := range page(c.matching(wanted, query.Get("search") == "true"), query) {
		list = append(list, c.shown(found))
	}
	if query.Get("briefRepresentation") == "true" && wanted == "" {
		for i := range list {
			maps.DeleteFunc(list[i], func(member string, _ any) bool {
				return !slices.Contains([]string{"id", "clientId", "name", "enabled", "attributes"}, member)
			})
		}
	}
	answerAdmin(c.w, list)
}

// matching are the clients of a client id, or of a part of one, or all.
func (c adminCall) matching(wanted string, part bool) []*client {
	switch found := c.realm.byClientID(wanted); {
	case wanted == "":
		return c.realm.sorted()
	case part:
		return slices.DeleteFunc(slices.Clone(c.realm.sorted()), func(c *client) bool {
			return !strings.Contains(strings.ToLower(c.clientID()), strings.ToLower(wanted))
		})
	case found == nil:
		return nil
	default:
		return []*client{found}
	}
}

func page(list []*client, query url.Values) []*client {
	if first, err := strconv.Atoi(query.Get("first")); err == nil {
		list = list[min(max(first, 0), len(list)):]
	}
	if most, err := strconv.Atoi(query.Get("max")); err == nil && most >= 0 {
		list = list[:min(most, len(list))]
	}
	return list
}

func (c adminCall) createClient() {
	rep, ok := c.body("ClientRepresentation", clientMembers())
	if !ok || !c.fits(rep) {
		return
	}
	clientID, _ := rep["clientId"].(string)
	id, _ := rep["id"].(string)
	if c.realm.byClientID(clientID) != nil || c.taken(id) {
		c.exists("Client", clientID)
		return
	}
	made := c.realm.add(rep)
	c.applyPolicy(made)
	c.created(made.id())
}

// taken reports whether a client of any realm has the id.
func (c adminCall) taken(id string) bool {
	for _, r := range c.realms {
		if r.clients[id] != nil {
			return true
		}
	}
	return false
}

// fits refuses what the server refuses.
func (c adminCall) fits(rep map[string]any) bool {
	for _, member := range []string{"clientId", "name"} {
		if v, _ := rep[member].(string); len(v) > columnSize {
			c.broken()
			return false
		}
	}
	uris, _ := rep["redirectUris"].([]any)
	for _, uri := range texts(uris) {
		if strings.Contains(uri, "#") {
			refuse(c.w, http.StatusBadRequest, "invalid_input", "A redirect URI must not contain an URL fragment")
			return false
		}
	}
	return true
}

func (c adminCall) readClient() {
	if found, ok := c.client(); ok {
		answerAdmin(c.w, c.shown(found))
	}
}

// listRoles lists the roles that a client defines.
func (c adminCall) listRoles() {
	found, ok := c.client()
	if !ok {
		return
	}
	list := []map[string]any{}
	for _, name := range found.defines {
		list = append(list, map[string]any{"name": name, "clientRole": true, "composite": false, "containerId": found.id()})
	}
	answerAdmin(c.w, list)
}

// updateClient merges: members that are left out stay, attributes merge key by
// key and an empty value removes one, scope lists are ignored.
func (c adminCall) updateClient() {
	found, ok := c.client()
	if !ok {
		return
	}
	rep, ok := c.body("ClientRepresentation", clientMembers())
	if !ok || !c.fits(rep) {
		return
	}
	if clientID, given := rep["clientId"].(string); given {
		if other := c.realm.byClientID(clientID); other != nil && other != found {
			refuse(c.w, http.StatusConflict, "conflict", "Duplicate resource error")
			return
		}
	}
	given, ok := rep["attributes"].(map[string]any)
	if !ok && c.realm.rotation != nil && (c.secretExpired(found) || found.time(secretEnds).IsZero()) {
		c.broken() // a NullPointerException there
		return
	}
	if ok {
		attributes := found.attributes()
		maps.Copy(attributes, given)
		maps.DeleteFunc(attributes, func(_ string, v any) bool { return v == "" || v == nil })
	}
	for _, member := range []string{"id", "attributes", "defaultClientScopes", "optionalClientScopes", "access"} {
		delete(rep, member)
	}
	if rep["clientId"] != nil && rep["clientId"] != found.clientID() {
		defer c.realm.renamed()
	}
	maps.Copy(found.rep, rep)
	if c.realm.rotation == nil {
		found.forgetRotation()
	}
	c.applyPolicy(found)
	c.done()
}

func (c adminCall) deleteClient() {
	if found, ok := c.client(); ok {
		delete(c.realm.clients, found.id())
		c.realm.renamed()
		c.done()
	}
}
