// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"maps"
	"slices"
	"strings"
)

// index finds clients and scopes of a realm at the same cost however many there are, as a database
// does. A change by which one comes, goes or gets another name drops it.
type index struct {
	clients     map[string]*client // by client id
	sorted      []*client          // by client id
	names, byID map[string]*scope
}

// renamed drops what is known of the clients' names.
func (r *realm) renamed() { r.index.clients, r.index.sorted = nil, nil }

// rescoped drops what is known of the scopes' names.
func (r *realm) rescoped() { r.index.names, r.index.byID = nil, nil }

// entered adds a client to what is known.
func (r *realm) entered(c *client) {
	r.index.sorted = nil
	if r.index.clients != nil {
		r.index.clients[c.clientID()] = c
	}
}

// scoped adds a scope to the realm.
func (r *realm) scoped(sc *scope) {
	r.scopes = append(r.scopes, sc)
	if r.index.names != nil {
		r.index.names[sc.name()], r.index.byID[sc.id()] = sc, sc
	}
}

func (r *realm) byClientID(clientID string) *client {
	if r.index.clients == nil {
		r.index.clients = make(map[string]*client, len(r.clients))
		for _, c := range r.clients {
			r.index.clients[c.clientID()] = c
		}
	}
	return r.index.clients[clientID]
}

func (r *realm) indexScopes() {
	if r.index.names != nil {
		return
	}
	r.index.names, r.index.byID = make(map[string]*scope, len(r.scopes)), make(map[string]*scope, len(r.scopes))
	for _, sc := range r.scopes {
		r.index.names[sc.name()], r.index.byID[sc.id()] = sc, sc
	}
}

func (r *realm) scopeByName(name string) *scope {
	r.indexScopes()
	return r.index.names[name]
}

func (r *realm) scopeByID(id string) *scope {
	r.indexScopes()
	return r.index.byID[id]
}

// sorted are the clients by client id, as the server lists them.
func (r *realm) sorted() []*client {
	if r.index.sorted == nil {
		r.index.sorted = slices.SortedFunc(maps.Values(r.clients), func(a, b *client) int {
			return strings.Compare(a.clientID(), b.clientID())
		})
	}
	return r.index.sorted
}
