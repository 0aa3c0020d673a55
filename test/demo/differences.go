// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// says is where servers differ: the steps expect exactly this, and docs/demo.md
// has it as a table.
type says struct {
	// tokens are what alice's are, clientID who chooses the API's client id.
	tokens, clientID string
	// otherAPI is what the server says of a token of another API, and why what our decision's line
	// in the log says of it.
	otherAPI, why string
	// username says whether introspection names the user beside the subject.
	username string
	// ends is how a token of alice ends before its time.
	ends string
	// endedJWT is what the server says of a JWT that was ended so; empty if the story has none.
	endedJWT string
	// again is what comes back when somebody deletes the registration.
	again string
}

// Words that the steps compare with.
const (
	isActive, isInactive = "active:true", "active:false"
	named, unnamed       = "subject and username", "the subject only"
	sameAgain            = "the same id and secret"
	otherAgain           = "another id and secret: the server chooses"
	serverChooses        = "chosen by the server"
)

func embeddedSays() says {
	return says{
		tokens: "opaque", clientID: serverChooses,
		otherAPI: isActive, why: "The audience of the token does not name https://orders.example.com",
		username: named,
		ends:     "its client revokes it (RFC 7009)",
		again:    otherAgain,
	}
}

func keycloakSays() says {
	return says{
		tokens: "JWTs", clientID: "shop.orders",
		otherAPI: isInactive, why: "not active for shop.orders; its aud is billing",
		username: named,
		ends:     "alice logs out", endedJWT: isInactive,
		again: sameAgain,
	}
}

func duendeSays() says {
	return says{
		tokens: "reference tokens (opaque)", clientID: "shop.orders",
		otherAPI: isInactive, why: "not active for shop.orders",
		username: unnamed,
		ends:     "its client revokes it (RFC 7009)", endedJWT: isActive,
		again: sameAgain,
	}
}

// differences is the table of docs/demo.md, in Markdown.
func differences() string {
	all := []says{embeddedSays(), keycloakSays(), duendeSays()}
	var b strings.Builder
	row := func(step string, cell func(says) string) {
		b.WriteString("| " + step + " |")
		for _, s := range all {
			b.WriteString(" " + cell(s) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("| step | `embedded` | `keycloak` | `duende` |\n|---|---|---|---|\n")
	row("1. the API's client id", func(s says) string { return code(s.clientID, "shop.orders") })
	row("3. alice's tokens", func(s says) string { return s.tokens })
	row("3. a token without the scope: the server says", func(says) string { return "`" + isActive + "`" })
	row("we say", func(says) string { return "403 `insufficient_scope`" })
	row("3. a token of another API: the server says", func(s says) string { return "`" + s.otherAPI + "`" })
	row("we say", func(says) string { return "401" })
	row("and log", func(s says) string { return "`" + s.why + "`" })
	row("4. whom the headers name", func(s says) string { return s.username })
	row("6. alice's token ends when", func(s says) string { return s.ends })
	row("we say, "+maxAge+" later at most", func(says) string { return "401" })
	row("6. a JWT that ended so: the server says", func(s says) string {
		switch s.endedJWT {
		case "":
			return "(not told)"
		case isActive:
			return "`" + s.endedJWT + "` till its `exp`, and we let it in"
		default:
			return "`" + s.endedJWT + "`"
		}
	})
	row("7. the registration was deleted: back comes", func(s says) string { return s.again })
	row("8. the server is down: we say", func(says) string { return "503" })
	return b.String()
}

// code marks a text as code if it is this one.
func code(text, literal string) string {
	if text == literal {
		return "`" + text + "`"
	}
	return text
}
