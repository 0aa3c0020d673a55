// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const opRotate = "rotate the credential"

// driftEnd is the name of a secret's end that comes soon, in Observation.Drift: the server's policy ends it, and
// each change of the client puts the end off.
const driftEnd = "the end of the secret"

// The attributes of a client that hold its rotated secret and the times of both, in seconds since
// 1970. Without a client policy that has the executor secret-rotation the server drops all but the
// first with the next PUT, in silence.
const (
	secretMade   = "client.secret.creation.time"
	secretEnds   = "client.secret.expiration.time"
	rotated      = "client.secret.rotated"
	rotatedMade  = "client.secret.rotated.creation.time"
	rotatedEnds  = "client.secret.rotated.expiration.time"
	endingSoon   = time.Hour            // longer than it takes till the next look
	openOverlap  = 365 * 24 * time.Hour // of a previous credential that has no end yet
	openAtLeast  = 30 * 24 * time.Hour
	lastEndKnown = math.MaxInt32 // the server reads its times as 32 bits
)

// Rotate implements provider.Rotator. A secret goes over by one PUT, with the old one and its end
// beside it; nothing in the answer says whether the realm's policies let that stand, so both are
// proved. Keys stand side by side in any realm.
func (s *Server) Rotate(ctx context.Context, desired provider.Desired, caller provider.Caller) (provider.Rotation, error) {
	defer s.listing.Wrote(desired.ClientID)
	if err := s.sendable(opRotate, desired.Credentials); err != nil {
		return provider.Rotation{}, err
	}
	found, err := s.find(ctx, desired.Identity)
	switch {
	case err != nil:
		return provider.Rotation{}, err
	case found == nil:
		return provider.Rotation{}, provider.Meanwhile(opRotate)
	case !provider.Owns(desired.Owner, found.owner()):
		return provider.Rotation{}, &provider.Error{Kind: provider.KindConflict, Op: opRotate, Subject: found.owner()}
	}
	desired.Credentials = desired.Credentials.At(s.now())
	found, err = s.goOver(ctx, found, desired, caller)
	if err != nil {
		return provider.Rotation{}, err
	}
	return s.proved(ctx, found, desired.Credentials, caller)
}

// goOver writes what is not yet as it should be, and returns the client as it is then.
func (s *Server) goOver(ctx context.Context, found *client, desired provider.Desired, caller provider.Caller) (*client, error) {
	credentials := desired.Credentials
	bySecret := credentials.Current.Method == provider.ClientSecret
	differs, shown, err := s.credentialDrifted(ctx, found, credentials)
	if err == nil && !differs && !shown {
		var accepted bool
		accepted, err = caller.Prove(ctx, credentials.Current)
		differs = !accepted
	}
	if err != nil {
		return nil, err
	}
	drift := []string{provider.DriftSecret}
	switched := found.ClientAuthenticatorType != authenticator(credentials.Current.Method)
	if switched {
		drift = append(drift, fieldMethod)
	}
	if differs || switched || bySecret && s.overlapMissing(found, credentials) {
		if err := s.put(ctx, opRotate, desired, drift, found, caller); err != nil {
			return nil, err
		}
		if found, err = s.readBack(ctx, opRotate, found.ID, credentials); err != nil {
			return nil, err
		}
	}
	if bySecret && credentials.Previous == nil && found.attribute(rotated) != "" {
		if err := s.remove(ctx, caller, "end the overlap", clientPath(found.ID)+"/client-secret/rotated"); err != nil {
			return nil, err
		}
		delete(found.Attributes, rotated)
	}
	return found, nil
}

// proved asks the server about both credentials.
func (s *Server) proved(ctx context.Context, found *client, c provider.Credentials, caller provider.Caller) (provider.Rotation, error) {
	accepted, err := caller.Prove(ctx, c.Current)
	switch {
	case err != nil:
		return provider.Rotation{}, err
	case !accepted:
		return provider.Rotation{}, &provider.Error{Kind: provider.KindServer, Op: opRotate, Err: errors.New("the server took the new credential, and does not accept it")}
	}
	rotation := provider.Rotation{Rotated: true, Overlap: provider.OverlapNone}
	if c.Previous == nil || c.Previous.Method == provider.ServiceAccountJWT {
		return rotation, nil
	}
	both, err := caller.Prove(ctx, *c.Previous)
	if err != nil {
		return provider.Rotation{}, err
	}
	bySecret := c.Current.Method == provider.ClientSecret
	switch {
	case both && bySecret:
		rotation.Overlap = provider.OverlapExpiring
	case both:
		rotation.Overlap = provider.OverlapDual
	}
	if bySecret {
		s.overlap.Store(s.overlapOf(found, provider.ClientSecret))
	}
	return rotation, nil
}

// rotation are the attributes that go with a new secret. The server ends the secret by itself where a
// policy says so: without a time, which it then sets anew, it would do so at the old one's, or choose
// another secret at once if that has passed.
func (s *Server) rotation(c provider.Credentials) map[string]string {
	now := s.now()
	a := map[string]string{secretMade: seconds(now), secretEnds: "", rotated: "", rotatedMade: "", rotatedEnds: ""}
	if c = c.At(s.now()); c.Previous != nil {
		a[rotated], a[rotatedMade], a[rotatedEnds] = c.Previous.Secret.Reveal(), seconds(now), seconds(s.endOf(c))
	}
	return a
}

func (s *Server) endOf(c provider.Credentials) time.Time {
	if c.PreviousEnds.IsZero() {
		return s.now().Add(openOverlap)
	}
	return c.PreviousEnds
}

func seconds(at time.Time) string { return strconv.FormatInt(min(at.Unix(), lastEndKnown), 10) }

// overlapMissing reports whether the previous secret should stand beside the current one, could, and
// does not, or has another end. Where nothing shows a policy, it could not.
func (s *Server) overlapMissing(found *client, c provider.Credentials) bool {
	if c.Previous == nil || s.overlapOf(found, provider.ClientSecret) != provider.OverlapExpiring {
		return false
	}
	if has := found.Attributes[rotated]; has != c.Previous.Secret && has != mask {
		return true
	}
	if c.PreviousEnds.IsZero() {
		ends, ok := found.time(rotatedEnds)
		return !ok || ends.Before(s.now().Add(openAtLeast))
	}
	return found.attribute(rotatedEnds) != seconds(c.PreviousEnds)
}

// overlapOf is what a rotation of this client would reach: the server gives a secret a time to end
// where a client policy rotates secrets.
func (s *Server) overlapOf(found *client, method provider.Method) provider.Overlap {
	switch method {
	case provider.PrivateKeyJWT:
		return provider.OverlapDual
	case provider.ServiceAccountJWT:
		return provider.OverlapNone
	case provider.ClientSecret:
	}
	overlap := provider.OverlapNone
	if _, ok := found.time(secretEnds); ok {
		overlap = provider.OverlapExpiring
	}
	s.overlap.Store(overlap)
	return overlap
}

// time is an attribute that is one.
func (c *client) time(name string) (time.Time, bool) {
	at, err := strconv.ParseInt(c.attribute(name), 10, 64)
	return time.Unix(at, 0), err == nil && at > 0
}

// ended reports whether the server refuses the secret for its age.
func (s *Server) ended(c *client) bool {
	ends, ok := c.time(secretEnds)
	return ok && ends.Before(s.now())
}

// ending is ended, or soon.
func (s *Server) ending(c *client) bool {
	ends, ok := c.time(secretEnds)
	soon := endingSoon
	if made, known := c.time(secretMade); known {
		soon = min(soon, ends.Sub(made)/3) // or a short period would end all the time
	}
	return ok && ends.Before(s.now().Add(soon))
}

// readBack looks whether a PUT was kept: past the time that a policy sets, the server may answer it
// with a secret of its own choice.
func (s *Server) readBack(ctx context.Context, op, id string, c provider.Credentials) (*client, error) {
	found, err := s.byID(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, provider.Meanwhile(op)
	}
	differs, _, err := s.credentialDrifted(ctx, found, c)
	if err == nil && differs {
		err = &provider.Error{Kind: provider.KindServer, Op: op, Err: errors.New("the server keeps another credential than was sent: it may have chosen one of its own")}
	}
	return found, err
}
