// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

const (
	// attributeSize is what the database holds of a scope's attribute.
	attributeSize = 2048
	defaultList   = "default-client-scopes"
)

func scopeMembers() []string {
	return []string{"id", "name", "description", "protocol", "attributes", "protocolMappers"}
}

func mapperMembers() []string {
	return []string{"id", "name", "protocol", "protocolMapper", "consentRequired", "consentText", "config"}
}

func (sc *scope) represent() map[string]any {
	rep := maps.Clone(sc.rep)
	attributes, _ := sc.rep["attributes"].(map[string]any)
	rep["attributes"] = maps.Clone(attributes)
	if len(sc.mappers) > 0 {
		rep["protocolMappers"] = slices.Clone(sc.mappers)
	}
	return rep
}

func (r *realm) removeScope(sc *scope) {
	r.scopes = slices.DeleteFunc(r.scopes, func(x *scope) bool { return x == sc })
	r.rescoped()
	for _, c := range r.clients {
		c.drop(sc.id())
	}
}

func (c *client) drop(scopeID string) {
	is := func(id string) bool { return id == scopeID }
	c.defaults = slices.DeleteFunc(c.defaults, is)
	c.optional = slices.DeleteFunc(c.optional, is)
}

func (c adminCall) listScopes() {
	list := []map[string]any{}
	for _, sc := range c.realm.scopes {
		list = append(list, sc.represent())
	}
	answerAdmin(c.w, list)
}

func (c adminCall) createScope() {
	rep, ok := c.body("ClientScopeRepresentation", scopeMembers())
	if !ok || !c.storable(rep) {
		return
	}
	name, _ := rep["name"].(string)
	id, _ := rep["id"].(string)
	mappers, _ := rep["protocolMappers"].([]any)
	delete(rep, "protocolMappers")
	if c.realm.scopeByName(name) != nil || c.scopeTaken(id, mappers) {
		c.exists("Client Scope", name)
		return
	}
	if id == "" {
		rep["id"] = uuid.NewString()
	}
	if rep["attributes"] == nil {
		rep["attributes"] = map[string]any{}
	}
	made := &scope{rep: rep}
	for _, m := range mappers {
		if mapper, ok := m.(map[string]any); ok {
			made.mappers = append(made.mappers, stored(mapper))
		}
	}
	c.realm.scoped(made)
	c.created(made.id())
}

// scopeTaken reports whether any realm has the id, or one of the mappers'.
func (c adminCall) scopeTaken(id string, mappers []any) bool {
	for _, r := range c.realms {
		if id != "" && r.scopeByID(id) != nil {
			return true
		}
		for _, m := range mappers {
			if mapper, ok := m.(map[string]any); ok && r.hasMapper(mapper["id"]) {
				return true
			}
		}
	}
	return false
}

func (r *realm) hasMapper(id any) bool {
	return id != nil && slices.ContainsFunc(r.scopes, func(sc *scope) bool { return sc.mapper(id) >= 0 })
}

func (sc *scope) mapper(id any) int {
	return slices.IndexFunc(sc.mappers, func(m map[string]any) bool { return m["id"] == id })
}

// stored is a mapper as the server keeps it.
func stored(mapper map[string]any) map[string]any {
	if mapper["id"] == nil {
		mapper["id"] = uuid.NewString()
	}
	if mapper["consentRequired"] == nil {
		mapper["consentRequired"] = false
	}
	return mapper
}

func (c adminCall) storable(rep map[string]any) bool {
	name, _ := rep["name"].(string)
	if strings.ContainsAny(name, " \"\\") {
		answerJSON(c.w, http.StatusBadRequest, map[string]string{"errorMessage": `Unexpected name "` + name + `" for ClientScope`})
		return false
	}
	attributes, _ := rep["attributes"].(map[string]any)
	long := len(name) > columnSize
	for _, v := range attributes {
		text, _ := v.(string)
		long = long || len(text) > attributeSize
	}
	if long {
		c.broken()
	}
	return !long
}

func (c adminCall) readScope() {
	if found, ok := c.scope(); ok {
		answerAdmin(c.w, found.represent())
	}
}

// updateScope merges, and leaves mappers alone.
func (c adminCall) updateScope() {
	found, ok := c.scope()
	if !ok {
		return
	}
	rep, ok := c.body("ClientScopeRepresentation", scopeMembers())
	if !ok || !c.storable(rep) {
		return
	}
	if given, ok := rep["attributes"].(map[string]any); ok {
		attributes, _ := found.rep["attributes"].(map[string]any)
		maps.Copy(attributes, given)
	}
	for _, member := range []string{"id", "attributes", "protocolMappers"} {
		delete(rep, member)
	}
	maps.Copy(found.rep, rep)
	c.realm.rescoped()
	c.done()
}

func (c adminCall) deleteScope() {
	if found, ok := c.scope(); ok {
		c.realm.removeScope(found)
		c.done()
	}
}

func (c adminCall) createMapper() {
	found, ok := c.scope()
	if !ok {
		return
	}
	rep, ok := c.body("ProtocolMapperRepresentation", mapperMembers())
	if !ok {
		return
	}
	if slices.ContainsFunc(found.mappers, func(m map[string]any) bool { return m["name"] == rep["name"] }) {
		answerJSON(c.w, http.StatusConflict, map[string]string{"errorMessage": "Protocol mapper exists with same name"})
		return
	}
	mapper := stored(rep)
	found.mappers = append(found.mappers, mapper)
	id, _ := mapper["id"].(string)
	c.created(id)
}

func (c adminCall) updateMapper() {
	found, ok := c.scope()
	if !ok {
		return
	}
	at := found.mapper(c.r.PathValue("mapper"))
	if at < 0 {
		refuse(c.w, http.StatusNotFound, "Model not found")
		return
	}
	rep, ok := c.body("ProtocolMapperRepresentation", mapperMembers())
	if !ok {
		return
	}
	rep["id"] = c.r.PathValue("mapper")
	found.mappers[at] = stored(rep)
	c.done()
}

func (c adminCall) deleteMapper() {
	found, ok := c.scope()
	if !ok {
		return
	}
	at := found.mapper(c.r.PathValue("mapper"))
	if at < 0 {
		refuse(c.w, http.StatusNotFound, "Model not found")
		return
	}
	found.mappers = slices.Delete(found.mappers, at, at+1)
	c.done()
}

func (c adminCall) listAttached(list string) {
	found, ok := c.client()
	if !ok {
		return
	}
	ids := found.optional
	if list == defaultList {
		ids = found.defaults
	}
	out := []map[string]string{}
	for _, id := range ids {
		if sc := c.realm.scopeByID(id); sc != nil {
			out = append(out, map[string]string{"id": id, "name": sc.name()})
		}
	}
	answerAdmin(c.w, out)
}

// attached finds both ends of an attachment.
func (c adminCall) attached() (*client, *scope, bool) {
	found, ok := c.client()
	if !ok {
		return nil, nil, false
	}
	sc := c.realm.scopeByID(c.r.PathValue("scope"))
	if sc == nil {
		refuse(c.w, http.StatusNotFound, "Client scope not found")
	}
	return found, sc, sc != nil
}

// attach changes nothing where the scope is attached already, in either way.
func (c adminCall) attach(list string) {
	found, sc, ok := c.attached()
	if !ok {
		return
	}
	switch id := sc.id(); {
	case slices.Contains(found.defaults, id), slices.Contains(found.optional, id):
	case list == defaultList:
		found.defaults = append(found.defaults, id)
	default:
		found.optional = append(found.optional, id)
	}
	c.done()
}

// detach looks for both kinds, whichever list is named.
func (c adminCall) detach() {
	if found, sc, ok := c.attached(); ok {
		found.drop(sc.id())
		c.done()
	}
}
