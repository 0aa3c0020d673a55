// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// What a condition or reason means, and after "Do:" what its reader has to do: docs/reference/conditions.md
// is made of these comments.

// Condition types. Ready is on every object; Reconciling and Stalled are there
// only while they are true, as kstatus reads them.
const (
	// ConditionReady sums up: the object is as declared and works.
	// Do: if it is not True: its reason, by the tables below; its message says what to do.
	ConditionReady = "Ready"
	// ConditionReconciling is true while the operator is at work or waits for the world.
	// Do: wait; if it stays, the message says for what.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true when somebody must act before anything goes on.
	// Do: what the message says.
	ConditionStalled = "Stalled"

	// ConditionReachable: the server's metadata could be fetched.
	// Do: look at the address, the network and connection.caBundle.
	ConditionReachable = "Reachable"
	// ConditionIssuerVerified: the metadata's issuer is spec.issuer, byte for byte (RFC 8414 section 3.3).
	// Do: a new object with the issuer that the server names: spec.issuer is immutable.
	ConditionIssuerVerified = "IssuerVerified"
	// ConditionAuthenticated: the operator could sign in and has the rights it needs.
	// Do: look at the Secret that credentials name, and at the client's rights at the server.
	ConditionAuthenticated = "Authenticated"
	// ConditionCanaryAvailable: the canary got a token. It does not gate Ready, and is there only with
	// spec.canary.
	// Do: look at the Secret that spec.canary names, and at that client at the server.
	ConditionCanaryAvailable = "CanaryAvailable"

	// ConditionRegistered: the client is registered at the server, and is ours.
	// Do: by its reason: access, the client id, or the server.
	ConditionRegistered = "Registered"
	// ConditionAudienceMapped: new tokens of the token clients name this API in `aud`.
	// Do: until it is True every token is inactive: name token clients, or set audience.mode.
	ConditionAudienceMapped = "AudienceMapped"
	// ConditionVerified: a live introspection with these credentials was answered.
	// Do: nothing while it is Unknown; False with registration Manual: the registered credential into the Secret.
	ConditionVerified = "Verified"
	// ConditionPublished: the Secret that workloads mount is written.
	// Do: free the Secret's name, or set secret.name in a new object.
	ConditionPublished = "Published"
	// ConditionRotating: a credential is being replaced, or the one before it still works. It does
	// not gate Ready.
	// Do: nothing; after a leak: docs/operations.md#end-a-leaked-secret-now.
	ConditionRotating = "Rotating"
	// ConditionPolicyBound: the policy at the endpoint in the Secret exists, is Compiled and names
	// this client. It does not gate Ready.
	// Do: create the policy, or correct policyRef.
	ConditionPolicyBound = "PolicyBound"

	// ConditionCompiled: the policy has a meaning.
	// Do: correct the fields that the message names; the endpoint answers 503 until then.
	ConditionCompiled = "Compiled"
	// ConditionClientsReady: the clients of the policy are Verified and Published.
	// Do: kubectl describe the client that the message names.
	ConditionClientsReady = "ClientsReady"
)

// Reasons that any kind may have.
const (
	// ReasonReady: all is as declared.
	// Do: nothing.
	ReasonReady = "Ready"
	// ReasonSucceeded: this step is done.
	// Do: nothing.
	ReasonSucceeded = "Succeeded"
	// ReasonProgressing: the operator is at work.
	// Do: nothing: it is looked at again in seconds.
	ReasonProgressing = "Progressing"
	// ReasonPending: an earlier step is not done.
	// Do: look at the step before it.
	ReasonPending = "Pending"
	// ReasonInternalError: a call to the Kubernetes API went wrong; it is tried again.
	// Do: nothing; if it stays, the message says which call, most often one that RBAC or an admission webhook refuses.
	ReasonInternalError = "InternalError"
)

// Reasons of a ClusterAuthorizationServer.
const (
	// ReasonUnreachable: no answer, or none that makes sense; tried again.
	// Do: look at the address, the network and connection.caBundle; it is tried again.
	ReasonUnreachable = "Unreachable"
	// ReasonInvalidMetadata: the answer at the metadata address is no RFC 8414 metadata.
	// Do: correct connection.url, or what the message names.
	ReasonInvalidMetadata = "InvalidMetadata"
	// ReasonIssuerNotFound: there is no metadata at that address (wrong realm or path).
	// Do: correct the realm's name or the path, in a new object if it is the issuer's; it is tried again.
	ReasonIssuerNotFound = "IssuerNotFound"
	// ReasonIssuerMismatch: the metadata names another issuer.
	// Do: a new object with the server's own issuer and connection.url; or set the server's hostname.
	ReasonIssuerMismatch = "IssuerMismatch"
	// ReasonInsecureIssuer: http on a loopback address, which the operator was not told to allow.
	// Do: https; for a try-out --allow-insecure-loopback.
	ReasonInsecureIssuer = "InsecureIssuer"
	// ReasonSecretNotFound: a Secret that the object names does not exist, or lacks a key.
	// Do: create it in the operator's namespace, with the keys that the message names.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonInvalidCABundle: a key of the CA bundle is missing, too large or no PEM.
	// Do: correct the ConfigMap or Secret that connection.caBundle names.
	ReasonInvalidCABundle = "InvalidCABundle"
	// ReasonCredentialsRefused: the server refused the operator's sign-in, or the credential that a client brought.
	// Do: write the secret that the server has into the Secret: it is taken in at once, and tried each minute.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonMissingRights: signed in, but without the rights to manage clients.
	// Do: give the operator's client the right that the message names.
	ReasonMissingRights = "MissingRights"
	// ReasonRegistrationUnsupported: the server registers no clients in the way that its object says.
	// Do: what the message says: another kind of server in the object, or registration Manual.
	ReasonRegistrationUnsupported = "RegistrationUnsupported"
	// ReasonInUse: the object is being deleted while clients refer to it.
	// Do: delete the clients first; the message names one.
	ReasonInUse = "InUse"
)

// Reasons of an IntrospectionClient.
const (
	// ReasonServerNotFound: authorizationServerRef names no ClusterAuthorizationServer.
	// Do: apply that server, it is waited for; the reference is immutable. If the object is being deleted and the server is gone for good: docs/operations.md#the-authorization-server-is-gone-for-ever.
	ReasonServerNotFound = "ServerNotFound"
	// ReasonServerNotReady: the server is not Ready.
	// Do: look at the server: the message repeats what it says.
	ReasonServerNotReady = "ServerNotReady"
	// ReasonAccessDenied: the server's access does not cover this namespace.
	// Do: the platform team labels the namespace, or widens access.
	ReasonAccessDenied = "AccessDenied"
	// ReasonClientIDNotAllowed: the client id starts with none of the granted prefixes, or is too long.
	// Do: another clientID, in a new object; or have access.clientIDPrefixes widened.
	ReasonClientIDNotAllowed = "ClientIDNotAllowed"
	// ReasonAudienceModeNotAllowed: the server's access.audience.modes lacks the mode.
	// Do: another audience.mode, or have access.audience.modes widened.
	ReasonAudienceModeNotAllowed = "AudienceModeNotAllowed"
	// ReasonRetainNotAllowed: the server's access.retain is Denied.
	// Do: deletionPolicy Delete, or have access.retain set to Allowed.
	ReasonRetainNotAllowed = "RetainNotAllowed"
	// ReasonAdoptionNotAllowed: adoptionPolicy is Unowned, and the server's access.adoption is Denied, or there
	// is nothing to adopt at servers of its kind.
	// Do: adoptionPolicy Never, or have access.adoption set to Allowed.
	ReasonAdoptionNotAllowed = "AdoptionNotAllowed"
	// ReasonAdoptionRefused: the registration can obtain tokens, is built in, or has what the operator can't take over.
	// Do: turn off at the server what the message names, if that is meant; or another clientID in a new object.
	ReasonAdoptionRefused = "AdoptionRefused"
	// ReasonNamespaceTerminating: nothing is created in a namespace that is going away.
	// Do: nothing.
	ReasonNamespaceTerminating = "NamespaceTerminating"
	// ReasonOwnershipConflict: a registration with this client id exists and is not this object's.
	// Do: another clientID in a new object, or delete that client at the server; the message says whose it is.
	ReasonOwnershipConflict = "OwnershipConflict"
	// ReasonSecretConflict: a Secret of that name exists and is not this object's.
	// Do: delete that Secret, or secret.name in a new object.
	ReasonSecretConflict = "SecretConflict"
	// ReasonInvalidRegistration: the server refuses the registration as it is.
	// Do: correct what the server's words in the message name.
	ReasonInvalidRegistration = "InvalidRegistration"
	// ReasonForbidden: the operator's sign-in lacks a right at the server.
	// Do: give the operator's client the right that the message names.
	ReasonForbidden = "Forbidden"
	// ReasonRateLimited: the server, or the limits in its object, asked to wait.
	// Do: nothing, or raise connection.limits.
	ReasonRateLimited = "RateLimited"
	// ReasonServerError: the server answered with an error that says nothing about this client.
	// Do: nothing: it is tried again. If it stays, look at the server's log.
	ReasonServerError = "ServerError"
	// ReasonNoTokenClients: no token client is named anywhere.
	// Do: keycloak.tokenClients of the server, or audience.tokenClients: else every token is inactive.
	ReasonNoTokenClients = "NoTokenClients"
	// ReasonTokenClientNotAllowed: a token client is not in the server's list.
	// Do: one of the server's list, or have it extended.
	ReasonTokenClientNotAllowed = "TokenClientNotAllowed"
	// ReasonTokenClientNotFound: a token client does not exist at the server.
	// Do: create it at the server, or take it out of the list.
	ReasonTokenClientNotFound = "TokenClientNotFound"
	// ReasonTooManyAudiences: a token client carries as many audiences as the server's cap.
	// Do: audience.mode OnRequest, other token clients, or a higher access.audience.maxPerTokenClient.
	ReasonTooManyAudiences = "TooManyAudiences"
	// ReasonNotRegistered: spec.management is Observe, and there is no registration to look at.
	// Do: spec.management Full, if it shall be registered.
	ReasonNotRegistered = "NotRegistered"
	// ReasonDriftFound: something differs from what is declared and is left so, since spec.management is Observe.
	// Do: put right at the server what the message names, or set spec.management to Full.
	ReasonDriftFound = "DriftFound"
	// ReasonObserved: all that was made is as declared; spec.management is Observe.
	// Do: nothing.
	ReasonObserved = "Observed"
	// ReasonSuspended: nothing is looked at, since spec.management is Suspended.
	// Do: spec.management Full or Observe, when the work at the server is done.
	ReasonSuspended = "Suspended"
	// ReasonUnmanaged: the audience is not the operator's business.
	// Do: nothing.
	ReasonUnmanaged = "Unmanaged"
	// ReasonNotYetAccepted: the server does not know the credentials yet.
	// Do: nothing: asked again, with a growing pause. If it stays at an RFC 7591 server, the message has the annotation that registers anew.
	ReasonNotYetAccepted = "NotYetAccepted"
	// ReasonPolicyNotFound: the policy does not exist.
	// Do: create it; the client is Ready all the same.
	ReasonPolicyNotFound = "PolicyNotFound"
	// ReasonPolicyNotCompiled: the policy has no meaning yet.
	// Do: look at the policy's condition Compiled.
	ReasonPolicyNotCompiled = "PolicyNotCompiled"
	// ReasonPolicyNamesAnotherClient: the policy accepts another client.
	// Do: correct policyRef, or the policy.
	ReasonPolicyNamesAnotherClient = "PolicyNamesAnotherClient"
	// ReasonNoPolicyNeeded: the Secret is for the server's own endpoint.
	// Do: nothing.
	ReasonNoPolicyNeeded = "NoPolicyNeeded"
)

// Reasons of an IntrospectionClient that depend on what its server can do.
const (
	// ReasonScopeNotAllowed: a scope is not in the server's access.scopes, or scopes mean nothing there (Keycloak).
	// One that the server itself does not know, or refuses, is ReasonInvalidRegistration.
	// Do: leave it out, or have it put into access.scopes.
	ReasonScopeNotAllowed = "ScopeNotAllowed"
	// ReasonNoScopes: the server answers only about tokens of a client's scopes, and none is named.
	// Do: name scopes: else every token is inactive.
	ReasonNoScopes = "NoScopes"
	// ReasonMethodNotSupported: the server does not know the authentication method.
	// Do: another authentication.method: the message lists the server's.
	ReasonMethodNotSupported = "MethodNotSupported"
	// ReasonRegistrationAmbiguous: the answer to a registration was lost, and nobody can look whether it was
	// done.
	// Do: look at the server, delete what is there, then the annotation in the message.
	ReasonRegistrationAmbiguous = "RegistrationAmbiguous"
	// ReasonRegistrationAccessLost: the server no longer takes the registration access token (RFC 7592).
	// Do: what the message says: undo the change there, or delete the client there and it is registered anew.
	ReasonRegistrationAccessLost = "RegistrationAccessLost"
	// ReasonManagementUnsupported: the server can't change or delete what it has registered.
	// Do: undo the change; being deleted: delete the client at the server, then the annotation in the message.
	ReasonManagementUnsupported = "ManagementUnsupported"
	// ReasonExistingSecretNotFound: existingSecretName is unset, or names no Secret of this namespace.
	// Do: create the Secret, with the keys that the message names.
	ReasonExistingSecretNotFound = "ExistingSecretNotFound"
	// ReasonExistingSecretInvalid: that Secret lacks a key, or a value in it makes no credential.
	// Do: correct the key that the message names.
	ReasonExistingSecretInvalid = "ExistingSecretInvalid"
	// ReasonExistingSecretNotAllowed: existingSecretName at a server whose registration is not Manual.
	// Do: leave existingSecretName out: the operator makes the credential.
	ReasonExistingSecretNotAllowed = "ExistingSecretNotAllowed"
	// ReasonAudienceNotRequestable: mode OnRequest, and the client id is nothing that can be asked for with
	// resource= (RFC 8707: an absolute URI).
	// Do: a clientID that is an absolute URI, in a new object; or audience.mode Default.
	ReasonAudienceNotRequestable = "AudienceNotRequestable"
	// ReasonNotSupported: the server has no way to map an audience; who issues tokens decides.
	// Do: nothing; say in the policy's require.audiences what aud holds.
	ReasonNotSupported = "NotSupported"
	// ReasonMappingProven: the server called a live token of the canary active for this client.
	// Do: nothing.
	ReasonMappingProven = "MappingProven"
	// ReasonMappingUnproven: the canary's live token is inactive for this client. Where the audience is not the
	// operator's to map, the credential is Verified all the same.
	// Do: look at what the message names: the audience mapper at the server, or the scopes; with mode Unmanaged, have the canary's tokens name the API, or leave it.
	ReasonMappingUnproven = "MappingUnproven"
	// ReasonCanaryUnavailable: the canary could get no token, so that only the credential is proven.
	// Do: the platform team looks at spec.canary of the server, and its condition CanaryAvailable.
	ReasonCanaryUnavailable = "CanaryUnavailable"
	// ReasonPropagating: done, and parts of the server may not know of it yet.
	// Do: nothing: it goes on when the server's cache has ended.
	ReasonPropagating = "Propagating"
)

// Reasons of the condition Rotating.
const (
	// ReasonNotRotating: one credential is in use, and no other works.
	// Do: nothing.
	ReasonNotRotating = "NotRotating"
	// ReasonStaged: the next credential is made, and the webhook's replicas learn of it before it is used.
	// Do: nothing.
	ReasonStaged = "Staged"
	// ReasonOverlap: the new credential is published, and the one before it works until its end.
	// Do: have workloads read the Secret again before status.credential.previousExpiresAt.
	ReasonOverlap = "Overlap"
	// ReasonOverlapUnproven: as Overlap, and nobody can see whether workloads have read the new one.
	// Do: restart workloads that read the Secret at their start, before status.credential.previousExpiresAt.
	ReasonOverlapUnproven = "OverlapUnproven"
	// ReasonOverlapUnavailable: two credentials can't stand side by side at this server, so workloads that ask it
	// themselves would fail: it is rotated on demand only.
	// Do: the annotation introspection.dev/rotate, at a time when a short gap hurts least; or endpoint Webhook.
	ReasonOverlapUnavailable = "OverlapUnavailable"
)
