// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan decides what to do about a registration. It does no I/O.
package plan

import (
	"fmt"
	"strings"
)

// Action is what to do.
type Action int

const (
	// None leaves the registration as it is.
	None Action = iota
	// Create registers: there is none.
	Create
	// Update puts right what differs of ours.
	Update
	// Adopt takes over what is nobody's.
	Adopt
	// Refuse leaves alone what is somebody else's.
	Refuse
	// RefuseAdoption leaves alone what is nobody's, though the object asks for it.
	RefuseAdoption
)

// Input is what was gathered.
type Input struct {
	// ClientID is what is looked for, Owner our mark.
	ClientID, Owner string
	// Exists, FoundOwner and Drift are what the server said.
	Exists     bool
	FoundOwner string
	Drift      []string
	// Registered says that we registered it before.
	Registered bool
	// AdoptionAsked says that the object asks to take over what nobody owns, AdoptionAllowed that its
	// server, by name, allows that.
	AdoptionAsked, AdoptionAllowed bool
	Server                         string
	// NewID says that the server chooses the id anew, and the secret.
	NewID bool
}

// Plan is the decision, with its reason for an Event or a condition.
type Plan struct {
	Action Action
	// Restores says that a registration of ours had vanished, or was changed.
	Restores bool
	Message  string
}

// Decide what to do. A registration without an owner mark is not ours: only the
// mark says so, never the name.
func Decide(in Input) Plan {
	switch {
	case !in.Exists && in.Registered && in.NewID:
		return Plan{Action: Create, Restores: true, Message: fmt.Sprintf("client %s had vanished at the server; registered again, and this server chooses another id and secret", in.ClientID)}
	case !in.Exists && in.Registered:
		return Plan{Action: Create, Restores: true, Message: fmt.Sprintf("client %s had vanished at the server; registered again with the same id and secret", in.ClientID)}
	case !in.Exists && in.ClientID == "":
		return Plan{Action: Create, Message: "registering a client"}
	case !in.Exists:
		return Plan{Action: Create, Message: fmt.Sprintf("registering client %s", in.ClientID)}
	case in.FoundOwner == "":
		return unowned(in)
	case in.FoundOwner != in.Owner:
		return Plan{Action: Refuse, Message: fmt.Sprintf("a client %s exists at the server and belongs to %s (ours would be %s). Set another spec.clientID in a new object, or delete it where it belongs.%s", in.ClientID, printable(in.FoundOwner), in.Owner, namesake(in))}
	case len(in.Drift) > 0:
		return Plan{Action: Update, Restores: in.Registered, Message: fmt.Sprintf("client %s was changed at the server; put right: %s", in.ClientID, strings.Join(in.Drift, ", "))}
	default:
		return Plan{Action: None}
	}
}

// unowned decides about a registration that nobody marked.
func unowned(in Input) Plan {
	const waysOut = "Set another spec.clientID in a new object, or delete that client at the server"
	exists := fmt.Sprintf("a client %s exists at the server and nobody's owner mark is on it, so it was not made by this operator. ", in.ClientID)
	switch {
	case in.AdoptionAsked && in.AdoptionAllowed:
		return Plan{Action: Adopt, Message: fmt.Sprintf("taking over client %s", in.ClientID)}
	case in.AdoptionAsked:
		return Plan{Action: RefuseAdoption, Message: exists + fmt.Sprintf("spec.adoptionPolicy Unowned is not allowed by spec.access.adoption of ClusterAuthorizationServer %s: have the platform team allow it. %s otherwise.", in.Server, waysOut)}
	default:
		return Plan{Action: Refuse, Message: exists + fmt.Sprintf("%s. To take it over, set spec.adoptionPolicy Unowned, which spec.access.adoption of ClusterAuthorizationServer %s must allow.", waysOut, in.Server)}
	}
}

// namesake says what to do if the owner is an object of the same name, of another operator: of the
// one before this, if a cluster was rebuilt.
func namesake(in Input) string {
	theirs, name, _ := strings.Cut(in.FoundOwner, "/")
	_, ours, _ := strings.Cut(in.Owner, "/")
	if name != ours {
		return ""
	}
	return fmt.Sprintf(" If this cluster takes the place of that one, start the operator with --instance %s.", printable(theirs))
}

// printable bounds a mark that somebody else may have written.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x21 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
	if len(s) > 128 {
		s = s[:128] + "…"
	}
	return s
}
