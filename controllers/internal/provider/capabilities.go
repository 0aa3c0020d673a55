// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

// Overlap is how two credentials of one client live side by side.
type Overlap string

const (
	// OverlapExpiring means: both work, and the old one ends by itself at a time of our choice.
	OverlapExpiring Overlap = "Expiring"
	// OverlapDual means: both work until the old one is taken away.
	OverlapDual Overlap = "Dual"
	// OverlapNone means: the new one ends the old one at once, or there is never a new one.
	OverlapNone Overlap = "None"
	// OverlapUnknown means: it shows at the first client, or at the first rotation.
	OverlapUnknown Overlap = "Unknown"
)

// Party is who decides something.
type Party string

const (
	// ByOperator means: we choose, within what the server allows.
	ByOperator Party = "Operator"
	// ByServer means: the server chooses, and may choose anew.
	ByServer Party = "Server"
	// ByUser means: whoever brings the credential.
	ByUser Party = "User"
)

// Check is what a server makes of a property of a token at introspection.
type Check string

const (
	// CheckEnforced means: without it the token is inactive for the client that asks.
	CheckEnforced Check = "Enforced"
	// CheckIgnored means: it is not looked at.
	CheckIgnored Check = "Ignored"
	// CheckUnknown means: servers differ.
	CheckUnknown Check = "Unknown"
)

// Support says whether something works at all.
type Support string

const (
	// Supported means that it works.
	Supported Support = "Yes"
	// Unsupported means that it does not.
	Unsupported Support = "No"
	// SupportUnknown means that servers differ, and this one has not shown it yet.
	SupportUnknown Support = "Unknown"
)

// Revocation is when a revoked token becomes inactive at the server.
type Revocation string

const (
	// RevocationImmediate means: at the next introspection.
	RevocationImmediate Revocation = "Immediate"
	// RevocationNever means: at its end only.
	RevocationNever Revocation = "Never"
	// RevocationUnknown means: servers differ.
	RevocationUnknown Revocation = "Unknown"
)

// Capabilities are what a server can do, as far as it concerns its users.
type Capabilities struct {
	// Methods are how clients can prove themselves.
	Methods []Method
	// Overlap of a rotated secret. Keys stand side by side wherever they are supported.
	Overlap Overlap
	// ClientIDs says who chooses them.
	ClientIDs Party
	// Read says whether a registration can be read, and so drift be seen; Update whether it can
	// be changed, and Delete whether it can be deleted.
	Read, Update, Delete Support
	// Disable says whether a registration can be put out of use and kept.
	Disable Support
	// Restore says whether a registration that was lost comes back with the same id and secret.
	Restore Support
	// AudienceModes are those that the operator can bring about.
	AudienceModes []AudienceMode
	// AudienceCheck and ScopeCheck say what introspection asks of a token for the client that asks.
	AudienceCheck, ScopeCheck Check
	// OpaqueTokens and JWTs say which tokens can be introspected.
	OpaqueTokens, JWTs Support
	// OpaqueRevocation and JWTRevocation say when a revoked token is inactive.
	OpaqueRevocation, JWTRevocation Revocation
}

// Report is what a server turned out to be.
type Report struct {
	// Rights is Manage if the sign-in is known to be allowed to manage clients, else Unknown.
	Rights string
	// Capabilities of this very server.
	Capabilities Capabilities
	// RegistrationURL is where clients are registered; empty where nothing is.
	RegistrationURL string
}

const (
	// RightsManage means: the sign-in is known to have the right to manage clients.
	RightsManage = "Manage"
	// RightsUnknown means: that shows at the first registration.
	RightsUnknown = "Unknown"
)
