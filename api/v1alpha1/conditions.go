// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types. Ready is on every object; Reconciling and Stalled are there
// only while they are true, as kstatus reads them.
const (
	// ConditionReady sums up: the object is as declared and works.
	ConditionReady = "Ready"
	// ConditionReconciling is true while the operator is at work or waits for the world.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true when somebody must act before anything goes on.
	ConditionStalled = "Stalled"

	// ConditionReachable: the server's metadata could be fetched.
	ConditionReachable = "Reachable"
	// ConditionIssuerVerified: the metadata's issuer is spec.issuer, byte for byte (RFC 8414 section 3.3).
	ConditionIssuerVerified = "IssuerVerified"
	// ConditionAuthenticated: the operator could sign in and has the rights it needs.
	ConditionAuthenticated = "Authenticated"
	// ConditionCanaryAvailable: the canary got a token. It does not gate Ready, and is there only with
	// spec.canary.
	ConditionCanaryAvailable = "CanaryAvailable"

	// ConditionRegistered: the client is registered at the server, and is ours.
	ConditionRegistered = "Registered"
	// ConditionAudienceMapped: new tokens of the token clients name this API in `aud`.
	ConditionAudienceMapped = "AudienceMapped"
	// ConditionVerified: a live introspection with these credentials was answered.
	ConditionVerified = "Verified"
	// ConditionPublished: the Secret that workloads mount is written.
	ConditionPublished = "Published"
	// ConditionRotating: a credential is being replaced, or the one before it still works. It does
	// not gate Ready.
	ConditionRotating = "Rotating"
	// ConditionPolicyBound: the policy at the endpoint in the Secret exists, is Compiled and names
	// this client. It does not gate Ready.
	ConditionPolicyBound = "PolicyBound"

	// ConditionCompiled: the policy has a meaning.
	ConditionCompiled = "Compiled"
	// ConditionClientsReady: the clients of the policy are Verified and Published.
	ConditionClientsReady = "ClientsReady"
)

// Reasons that any kind may have.
const (
	// ReasonReady: all is as declared.
	ReasonReady = "Ready"
	// ReasonSucceeded: this step is done.
	ReasonSucceeded = "Succeeded"
	// ReasonProgressing: the operator is at work.
	ReasonProgressing = "Progressing"
	// ReasonPending: an earlier step is not done.
	ReasonPending = "Pending"
	// ReasonInternalError: a call to the Kubernetes API went wrong; it is tried again.
	ReasonInternalError = "InternalError"
)

// Reasons of a ClusterAuthorizationServer.
const (
	// ReasonUnreachable: no answer, or none that makes sense; tried again.
	ReasonUnreachable = "Unreachable"
	// ReasonInvalidMetadata: the answer at the metadata address is no RFC 8414 metadata.
	ReasonInvalidMetadata = "InvalidMetadata"
	// ReasonIssuerNotFound: there is no metadata at that address (wrong realm or path).
	ReasonIssuerNotFound = "IssuerNotFound"
	// ReasonIssuerMismatch: the metadata names another issuer.
	ReasonIssuerMismatch = "IssuerMismatch"
	// ReasonInsecureIssuer: http on a loopback address, which the operator was not told to allow.
	ReasonInsecureIssuer = "InsecureIssuer"
	// ReasonSecretNotFound: a Secret that the object names does not exist, or lacks a key.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonInvalidCABundle: a key of the CA bundle is missing, too large or no PEM.
	ReasonInvalidCABundle = "InvalidCABundle"
	// ReasonCredentialsRefused: the server refused the operator's sign-in, or the credential that a client brought.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonMissingRights: signed in, but without the rights to manage clients.
	ReasonMissingRights = "MissingRights"
	// ReasonRegistrationUnsupported: the server registers no clients in the way that its object says.
	ReasonRegistrationUnsupported = "RegistrationUnsupported"
	// ReasonInUse: the object is being deleted while clients refer to it.
	ReasonInUse = "InUse"
)

// Reasons of an IntrospectionClient.
const (
	// ReasonServerNotFound: authorizationServerRef names no ClusterAuthorizationServer.
	ReasonServerNotFound = "ServerNotFound"
	// ReasonServerNotReady: the server is not Ready.
	ReasonServerNotReady = "ServerNotReady"
	// ReasonAccessDenied: the server's access does not cover this namespace.
	ReasonAccessDenied = "AccessDenied"
	// ReasonClientIDNotAllowed: the client id starts with none of the granted prefixes, or is too long.
	ReasonClientIDNotAllowed = "ClientIDNotAllowed"
	// ReasonAudienceModeNotAllowed: the server's access.audience.modes lacks the mode.
	ReasonAudienceModeNotAllowed = "AudienceModeNotAllowed"
	// ReasonRetainNotAllowed: the server's access.retain is Denied.
	ReasonRetainNotAllowed = "RetainNotAllowed"
	// ReasonAdoptionNotAllowed: adoptionPolicy is Unowned, and the server's access.adoption is Denied, or there
	// is nothing to adopt at servers of its kind.
	ReasonAdoptionNotAllowed = "AdoptionNotAllowed"
	// ReasonAdoptionRefused: the registration can obtain tokens, is built in, or has what the operator can't take over.
	ReasonAdoptionRefused = "AdoptionRefused"
	// ReasonNamespaceTerminating: nothing is created in a namespace that is going away.
	ReasonNamespaceTerminating = "NamespaceTerminating"
	// ReasonOwnershipConflict: a registration with this client id exists and is not this object's.
	ReasonOwnershipConflict = "OwnershipConflict"
	// ReasonSecretConflict: a Secret of that name exists and is not this object's.
	ReasonSecretConflict = "SecretConflict"
	// ReasonInvalidRegistration: the server refuses the registration as it is.
	ReasonInvalidRegistration = "InvalidRegistration"
	// ReasonForbidden: the operator's sign-in lacks a right at the server.
	ReasonForbidden = "Forbidden"
	// ReasonRateLimited: the server, or the limits in its object, asked to wait.
	ReasonRateLimited = "RateLimited"
	// ReasonServerError: the server answered with an error that says nothing about this client.
	ReasonServerError = "ServerError"
	// ReasonNoTokenClients: no token client is named anywhere.
	ReasonNoTokenClients = "NoTokenClients"
	// ReasonTokenClientNotAllowed: a token client is not in the server's list.
	ReasonTokenClientNotAllowed = "TokenClientNotAllowed"
	// ReasonTokenClientNotFound: a token client does not exist at the server.
	ReasonTokenClientNotFound = "TokenClientNotFound"
	// ReasonTooManyAudiences: a token client carries as many audiences as the server's cap.
	ReasonTooManyAudiences = "TooManyAudiences"
	// ReasonNotRegistered: spec.management is Observe, and there is no registration to look at.
	ReasonNotRegistered = "NotRegistered"
	// ReasonDriftFound: something differs from what is declared and is left so, since spec.management is Observe.
	ReasonDriftFound = "DriftFound"
	// ReasonObserved: all that was made is as declared; spec.management is Observe.
	ReasonObserved = "Observed"
	// ReasonSuspended: nothing is looked at, since spec.management is Suspended.
	ReasonSuspended = "Suspended"
	// ReasonUnmanaged: the audience is not the operator's business.
	ReasonUnmanaged = "Unmanaged"
	// ReasonNotYetAccepted: the server does not know the credentials yet.
	ReasonNotYetAccepted = "NotYetAccepted"
	// ReasonPolicyNotFound: the policy does not exist.
	ReasonPolicyNotFound = "PolicyNotFound"
	// ReasonPolicyNotCompiled: the policy has no meaning yet.
	ReasonPolicyNotCompiled = "PolicyNotCompiled"
	// ReasonPolicyNamesAnotherClient: the policy accepts another client.
	ReasonPolicyNamesAnotherClient = "PolicyNamesAnotherClient"
	// ReasonNoPolicyNeeded: the Secret is for the server's own endpoint.
	ReasonNoPolicyNeeded = "NoPolicyNeeded"
)

// Reasons of an IntrospectionClient that depend on what its server can do.
const (
	// ReasonScopeNotAllowed: a scope is not in the server's access.scopes, or scopes mean nothing there (Keycloak).
	// One that the server itself does not know, or refuses, is ReasonInvalidRegistration.
	ReasonScopeNotAllowed = "ScopeNotAllowed"
	// ReasonNoScopes: the server answers only about tokens of a client's scopes, and none is named.
	ReasonNoScopes = "NoScopes"
	// ReasonMethodNotSupported: the server does not know the authentication method.
	ReasonMethodNotSupported = "MethodNotSupported"
	// ReasonRegistrationAmbiguous: the answer to a registration was lost, and nobody can look whether it was
	// done. AnnotationRegisterAgain goes on.
	ReasonRegistrationAmbiguous = "RegistrationAmbiguous"
	// ReasonRegistrationAccessLost: the server no longer takes the registration access token (RFC 7592).
	ReasonRegistrationAccessLost = "RegistrationAccessLost"
	// ReasonManagementUnsupported: the server can't change or delete what it has registered.
	ReasonManagementUnsupported = "ManagementUnsupported"
	// ReasonExistingSecretNotFound: existingSecretName is unset, or names no Secret of this namespace.
	ReasonExistingSecretNotFound = "ExistingSecretNotFound"
	// ReasonExistingSecretInvalid: that Secret lacks a key, or a value in it makes no credential.
	ReasonExistingSecretInvalid = "ExistingSecretInvalid"
	// ReasonExistingSecretNotAllowed: existingSecretName at a server whose registration is not Manual.
	ReasonExistingSecretNotAllowed = "ExistingSecretNotAllowed"
	// ReasonAudienceNotRequestable: mode OnRequest, and the client id is nothing that can be asked for with
	// resource= (RFC 8707: an absolute URI).
	ReasonAudienceNotRequestable = "AudienceNotRequestable"
	// ReasonNotSupported: the server has no way to map an audience; who issues tokens decides.
	ReasonNotSupported = "NotSupported"
	// ReasonMappingProven: the server called a live token of the canary active for this client.
	ReasonMappingProven = "MappingProven"
	// ReasonMappingUnproven: the canary's live token is inactive for this client. Where the audience is not the
	// operator's to map, the credential is Verified all the same.
	ReasonMappingUnproven = "MappingUnproven"
	// ReasonCanaryUnavailable: the canary could get no token, so that only the credential is proven.
	ReasonCanaryUnavailable = "CanaryUnavailable"
	// ReasonPropagating: done, and parts of the server may not know of it yet.
	ReasonPropagating = "Propagating"
)

// Reasons of the condition Rotating.
const (
	// ReasonNotRotating: one credential is in use, and no other works.
	ReasonNotRotating = "NotRotating"
	// ReasonStaged: the next credential is made, and the webhook's replicas learn of it before it is used.
	ReasonStaged = "Staged"
	// ReasonOverlap: the new credential is published, and the one before it works until its end.
	ReasonOverlap = "Overlap"
	// ReasonOverlapUnproven: as Overlap, and nobody can see whether workloads have read the new one.
	ReasonOverlapUnproven = "OverlapUnproven"
	// ReasonOverlapUnavailable: two credentials can't stand side by side at this server, so workloads that ask it
	// themselves would fail: it is rotated on demand only.
	ReasonOverlapUnavailable = "OverlapUnavailable"
)

// Reasons of a TokenPolicy.
const (
	// ReasonAudienceRequired: require.audiences is unset, and the client's id is not ours to choose.
	ReasonAudienceRequired = "AudienceRequired"
	// ReasonInvalidPolicy: the policy does not compile.
	ReasonInvalidPolicy = "InvalidPolicy"
	// ReasonClientNotFound: a clientRef names no IntrospectionClient of this namespace.
	ReasonClientNotFound = "ClientNotFound"
	// ReasonClientNotReady: a client is not Verified and Published yet.
	ReasonClientNotReady = "ClientNotReady"
	// ReasonDuplicateIssuer: two entries of accept are of one issuer.
	ReasonDuplicateIssuer = "DuplicateIssuer"
	// ReasonNoKeys: an entry verifies signatures, and its server publishes no keys.
	ReasonNoKeys = "NoKeys"
	// ReasonUnsupportedTokenForm: the server introspects no tokens of the form that the policy takes.
	ReasonUnsupportedTokenForm = "UnsupportedTokenForm"
)

// Finalizer holds an object until the operator has cleaned up after it.
const Finalizer = "introspection.dev/finalizer"

// AnnotationRegisterAgain on an IntrospectionClient, with the value of status.registrationAttempt, registers
// it once more after a registration whose outcome nobody knows.
const AnnotationRegisterAgain = "introspection.dev/register-again"

// Annotations of an IntrospectionClient that act once for each new value.
const (
	// AnnotationRotate replaces the credentials now.
	AnnotationRotate = "introspection.dev/rotate"
	// AnnotationRevokePrevious ends the overlap of the last rotation now.
	AnnotationRevokePrevious = "introspection.dev/revoke-previous"
)
