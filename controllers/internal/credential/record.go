// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credential holds the record of a client, which is the truth about its
// credentials, and the Secrets that are made from it: what they are called, which
// keys they have, whose they are, and how they are written.
package credential

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Object names an object that a Secret belongs to. Namespace is empty for a
// cluster-scoped one.
type Object struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String is namespace/name.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Name
	}
	return o.Namespace + "/" + o.Name
}

// Hash is fit for a name or a label: namespace/name is not, and may be longer
// than a label's 63 bytes.
func (o Object) Hash() string {
	sum := sha256.Sum256([]byte(o.Namespace + "/" + o.Name))
	return hex.EncodeToString(sum[:16])
}

// Record is the truth about one client: what is registered where, with which
// credentials. Everything else is a projection of it.
type Record struct {
	// Object is the IntrospectionClient, UID its identity (a restore changes it).
	Object Object
	UID    string
	// Server is the name of the ClusterAuthorizationServer, Issuer its issuer.
	Server, Issuer string
	// ClientID, RegistrationID and Owner are how the registration is found and known for ours.
	ClientID, RegistrationID, Owner string
	// State is what the provider keeps for itself: a server's whole answer, say.
	State provider.Secret
	// Adopted is what the provider keeps to give back a registration that people made; empty if none was
	// adopted.
	Adopted provider.Secret
	// Attempt is unique to this registration (RFC 7591: software_id).
	Attempt string
	// DeletionPolicy is the object's, for a clean-up without the object.
	DeletionPolicy string
	// Current is the server's credential in use; nil until the first is verified.
	Current *Value
	// Next is staged and not verified yet.
	Next *Value
	// Previous was the one before Current and still works at the server; nil if none does.
	Previous *Value
	// Facade is the secret that workloads use at our endpoint, and CallerID the id that goes with it: the
	// first client id, which stays when a server chooses another one.
	Facade   Value
	CallerID string
	// NextFacade is staged, and PreviousFacade good beside Facade until PreviousEnds; nil if there is none.
	NextFacade, PreviousFacade *Value
	// StagedAt is when the rotation began that is under way; zero if none is.
	StagedAt time.Time
	// PreviousEnds is the hard end of Previous and PreviousFacade, and EndTold says that the server knows it.
	PreviousEnds time.Time
	EndTold      bool
	// Rotated and Revoked are the values of the object's annotations that were acted upon: a restored
	// object does not rotate.
	Rotated, Revoked string
	// ServiceAccount says that one was made for it.
	ServiceAccount bool
	// Withheld says that the registration is out of use, or about to be: the namespace lost access.
	Withheld bool
	// RegisteredAt is when the server chose the client id; zero where it does not choose.
	RegisteredAt time.Time
	// SettledAt is when the whole server surely knows what was last written there.
	SettledAt time.Time
	// Fence is changed before each write at the server.
	Fence string
}

// Active is the credential that the server shall know: the staged one until it
// is verified, else the current one.
func (r *Record) Active() Value {
	if r.Next != nil {
		return *r.Next
	}
	if r.Current != nil {
		return *r.Current
	}
	return Value{}
}

// BeginAgain forgets a registration that is gone, where the server chose its id and
// secret: nothing of them is good any more. attempt is unique to the next one.
func (r *Record) BeginAgain(attempt string, next Value) {
	r.ClientID, r.RegistrationID, r.State, r.RegisteredAt = "", "", "", time.Time{}
	r.Attempt, r.Current, r.Next, r.Previous = attempt, nil, &next, nil
	r.Abandon()
}

// Identity is how the registration is found.
func (r *Record) Identity() provider.Identity {
	return provider.Identity{ClientID: r.ClientID, RegistrationID: r.RegistrationID, Owner: r.Owner, State: r.State, Adopted: r.Adopted}
}

// ByID is the value of a credential that the record holds; nil if it holds none such.
func (r *Record) ByID(id string) *Value {
	for _, v := range []*Value{r.Next, r.Current, r.Previous} {
		if v != nil && v.ID() == id {
			return v
		}
	}
	return nil
}

// recordWire names its secrets in the clear: it is what is stored. All other forms
// of a provider.Secret are hidden.
type recordWire struct {
	Object         Object     `json:"object"`
	UID            string     `json:"uid"`
	Server         string     `json:"server"`
	Issuer         string     `json:"issuer"`
	ClientID       string     `json:"clientID,omitempty"`
	RegistrationID string     `json:"registrationID,omitempty"`
	Owner          string     `json:"owner"`
	State          string     `json:"state,omitempty"`
	Adopted        string     `json:"adopted,omitempty"`
	Attempt        string     `json:"attempt,omitempty"`
	DeletionPolicy string     `json:"deletionPolicy"`
	Current        *valueWire `json:"current,omitempty"`
	Next           *valueWire `json:"next,omitempty"`
	Facade         *valueWire `json:"facade"`
	CallerID       string     `json:"callerID,omitempty"`
	Previous       *valueWire `json:"previous,omitempty"`
	NextFacade     *valueWire `json:"nextFacade,omitempty"`
	PreviousFacade *valueWire `json:"previousFacade,omitempty"`
	StagedAt       time.Time  `json:"stagedAt,omitzero"`
	PreviousEnds   time.Time  `json:"previousEnds,omitzero"`
	EndTold        bool       `json:"endTold,omitempty"`
	Rotated        string     `json:"rotated,omitempty"`
	Revoked        string     `json:"revoked,omitempty"`
	ServiceAccount bool       `json:"serviceAccount,omitempty"`
	Withheld       bool       `json:"withheld,omitempty"`
	RegisteredAt   time.Time  `json:"registeredAt,omitzero"`
	SettledAt      time.Time  `json:"settledAt,omitzero"`
	Fence          string     `json:"fence,omitempty"`
}

// encode is the stored form.
func (r *Record) encode() ([]byte, error) {
	return json.Marshal(recordWire{
		Object: r.Object, UID: r.UID, Server: r.Server, Issuer: r.Issuer,
		ClientID: r.ClientID, RegistrationID: r.RegistrationID, Owner: r.Owner, State: r.State.Reveal(), Attempt: r.Attempt,
		Adopted:        r.Adopted.Reveal(),
		DeletionPolicy: r.DeletionPolicy,
		Current:        wireOf(r.Current), Next: wireOf(r.Next), Facade: wireOf(&r.Facade), CallerID: r.CallerID,
		Previous: wireOf(r.Previous), NextFacade: wireOf(r.NextFacade), PreviousFacade: wireOf(r.PreviousFacade),
		StagedAt: r.StagedAt, PreviousEnds: r.PreviousEnds, EndTold: r.EndTold, Rotated: r.Rotated, Revoked: r.Revoked,
		ServiceAccount: r.ServiceAccount, Withheld: r.Withheld, RegisteredAt: r.RegisteredAt, SettledAt: r.SettledAt, Fence: r.Fence,
	})
}

// ErrBroken is all that is said of a record that can't be read: a JSON error may
// quote what it stumbled over.
var ErrBroken = errors.New("the stored data can't be read")

func decodeRecord(data []byte) (*Record, error) {
	var w recordWire
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("record: %w", ErrBroken)
	}
	if w.Object.Name == "" || w.Facade == nil || w.Facade.Secret == "" || (w.Current == nil && w.Next == nil) {
		return nil, fmt.Errorf("record lacks a member: %w", ErrBroken)
	}
	return &Record{
		Object: w.Object, UID: w.UID, Server: w.Server, Issuer: w.Issuer,
		ClientID: w.ClientID, RegistrationID: w.RegistrationID, Owner: w.Owner, State: provider.Secret(w.State), Attempt: w.Attempt,
		Adopted:        provider.Secret(w.Adopted),
		DeletionPolicy: w.DeletionPolicy,
		Current:        w.Current.value(), Next: w.Next.value(), Facade: *w.Facade.value(), CallerID: w.CallerID,
		Previous: w.Previous.value(), NextFacade: w.NextFacade.value(), PreviousFacade: w.PreviousFacade.value(),
		StagedAt: w.StagedAt, PreviousEnds: w.PreviousEnds, EndTold: w.EndTold, Rotated: w.Rotated, Revoked: w.Revoked,
		ServiceAccount: w.ServiceAccount, Withheld: w.Withheld, RegisteredAt: w.RegisteredAt, SettledAt: w.SettledAt, Fence: w.Fence,
	}, nil
}
