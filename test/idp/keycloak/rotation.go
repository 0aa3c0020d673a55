// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"time"
)

// Rotation is a client policy for all clients of a realm, with the executor secret-rotation.
type Rotation struct {
	// Expires is how long a secret lives; Overlap how long the one before lives beside one that the
	// server chose.
	Expires, Overlap time.Duration
}

// DefaultRotation is what the executor does if nothing is configured.
func DefaultRotation() *Rotation {
	return &Rotation{Expires: 29 * 24 * time.Hour, Overlap: 2 * 24 * time.Hour}
}

// The attributes that hold the times of a secret and the rotated one, in seconds since 1970.
const (
	secretMade  = "client.secret.creation.time"
	secretEnds  = "client.secret.expiration.time"
	rotated     = "client.secret.rotated"
	rotatedMade = "client.secret.rotated.creation.time"
	rotatedEnds = "client.secret.rotated.expiration.time"
)

// SetRotation sets the policy of the first realm; nil removes it.
func (s *Server) SetRotation(policy *Rotation) { s.first().SetRotation(policy) }

// SetRotation sets the policy; nil removes it.
func (r *Realm) SetRotation(policy *Rotation) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.r.rotation = policy
}

func (c *client) attribute(name string) string {
	v, _ := c.attributes()[name].(string)
	return v
}

func (c *client) attributes() map[string]any {
	attributes, _ := c.rep["attributes"].(map[string]any)
	return attributes
}

// time is an attribute that is one; zero if there is none.
func (c *client) time(name string) time.Time {
	at, err := strconv.ParseInt(c.attribute(name), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(at, 0)
}

func (c *client) setTime(name string, at time.Time) {
	c.attributes()[name] = strconv.FormatInt(at.Unix(), 10)
}

// secretAccepted says whether a secret is the client's, or its rotated one, and its time has not come.
func (s *Server) secretAccepted(c *client, secret string) bool {
	now := s.now().Truncate(time.Second)
	switch {
	case secret == "":
		return false
	case secret == c.text("secret"):
		ends := c.time(secretEnds)
		return ends.IsZero() || !ends.Before(now)
	case secret == c.attribute(rotated) && c.attribute(rotatedMade) != "":
		return !c.time(rotatedEnds).Before(now)
	}
	return false
}

func (s *Server) secretExpired(c *client) bool {
	ends := c.time(secretEnds)
	return !ends.IsZero() && ends.Before(s.now().Truncate(time.Second))
}

// applyPolicy is what the server does after a client was created or changed.
func (c adminCall) applyPolicy(found *client) {
	policy := c.realm.rotation
	if policy == nil || found.on("publicClient") || found.on("bearerOnly") {
		return
	}
	switch {
	case c.secretExpired(found):
		c.rotate(found, found.text("secret"), policy)
	case found.time(secretEnds).IsZero():
		found.setTime(secretEnds, c.now().Add(policy.Expires))
	}
}

// rotate has the server choose a secret, and the one before live on beside it.
func (c adminCall) rotate(found *client, before string, policy *Rotation) {
	now := c.now()
	found.rep["secret"] = rand.Text()
	found.attributes()[rotated] = before
	found.setTime(rotatedMade, now)
	found.setTime(rotatedEnds, now.Add(policy.Overlap))
	found.setTime(secretMade, now)
	found.setTime(secretEnds, now.Add(policy.Expires))
}

// forgetRotation is what a change comes to where no policy rotates.
func (c *client) forgetRotation() {
	c.endOverlap()
	delete(c.attributes(), secretEnds)
}

func (c *client) endOverlap() {
	for _, name := range []string{rotated, rotatedMade, rotatedEnds} {
		delete(c.attributes(), name)
	}
}

func (c adminCall) readSecret() {
	if found, ok := c.client(); ok {
		secret := found.text("secret")
		if c.masked() {
			secret = mask
		}
		answerAdmin(c.w, map[string]string{"type": "secret", "value": secret})
	}
}

func (c adminCall) regenerateSecret() {
	found, ok := c.client()
	if !ok {
		return
	}
	if policy := c.realm.rotation; policy != nil {
		c.rotate(found, found.text("secret"), policy)
	} else {
		found.rep["secret"] = rand.Text()
		found.forgetRotation()
	}
	answerAdmin(c.w, map[string]string{"type": "secret", "value": found.text("secret")})
}

func (c adminCall) readRotated() {
	found, ok := c.client()
	switch {
	case !ok:
	case found.attribute(rotated) == "":
		refuse(c.w, http.StatusNotFound, "Client does not have a rotated secret")
	default:
		answerAdmin(c.w, map[string]string{"type": "secret", "value": found.attribute(rotated)})
	}
}

func (c adminCall) deleteRotated() {
	if found, ok := c.client(); ok {
		found.endOverlap()
		c.done()
	}
}
