// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// serverReconciler keeps the status of ClusterAuthorizationServers true, and the
// webhook's records of them.
type serverReconciler struct {
	client.Client

	config   Config
	store    *credential.Store
	sessions *sessions
	statuses *statusWriter
}

// serverScope is one reconciliation of a server.
type serverScope struct {
	*serverReconciler

	object     *v1alpha1.ClusterAuthorizationServer
	namespaces []string // that may use the server
	conn       *connection
	metadata   provider.Metadata
}

// Reconcile looks at one server.
func (r *serverReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.ClusterAuthorizationServer{}
	if err := r.Get(ctx, req.NamespacedName, object); err != nil {
		return ctrl.Result{}, r.statuses.forget(req.NamespacedName, err)
	}
	newest(r.statuses, object, &object.Status)
	before := object.Status.DeepCopy()
	s := &serverScope{serverReconciler: r, object: object}
	if !object.DeletionTimestamp.IsZero() {
		result, err := s.finalize(ctx)
		if err == nil && result.RequeueAfter > 0 {
			err = r.statuses.apply(ctx, object, before, &object.Status)
		}
		return result, err
	}
	if added, err := ensureFinalizer(ctx, r.Client, object); err != nil || added {
		return ctrl.Result{}, client.IgnoreNotFound(err) // the change brings us back
	}
	result, err := s.status().run(
		ctx, r.config.DriftInterval,
		phase{v1alpha1.ConditionReachable, s.reach},
		phase{v1alpha1.ConditionIssuerVerified, s.verifyIssuer},
		phase{v1alpha1.ConditionReady, s.project},
		phase{v1alpha1.ConditionAuthenticated, s.authenticate},
	)
	s.lookAtCanary(ctx)
	object.Status.ObservedGeneration = object.Generation
	if err := r.statuses.apply(ctx, object, before, &object.Status); err != nil {
		return ctrl.Result{}, err
	}
	return result, err
}

func (s *serverScope) status() status {
	return status{conditions: &s.object.Status.Conditions, generation: s.object.Generation}
}

// reach fetches the server's metadata.
func (s *serverScope) reach(ctx context.Context) (outcome, error) {
	var err error
	if s.namespaces, err = s.granted(ctx); err != nil {
		return outcome{}, err
	}
	// Access may be withdrawn while the server can't be reached, or the object is broken.
	if err := s.store.SaveServerNamespaces(ctx, s.object.Name, s.namespaces); err != nil {
		return outcome{}, err
	}
	for _, url := range []string{s.object.Spec.Issuer, connectionURL(s.object), settingsOf(s.object).RegistrationURL} {
		if url != "" && !strings.HasPrefix(url, "https://") && !s.config.AllowInsecureLoopback {
			return outcome{}, userMustAct(v1alpha1.ReasonInsecureIssuer, "%s is http. Use https; for a try-out on a loopback address start the operator with --allow-insecure-loopback.", url)
		}
	}
	if s.conn, err = s.sessions.connect(ctx, s.object); err != nil {
		return outcome{}, err
	}
	s.metadata, err = provider.Discover(ctx, s.conn.http, s.object.Spec.Issuer, connectionURL(s.object))
	if err != nil {
		return outcome{}, ofDiscovery(err, connectionURL(s.object))
	}
	return outcome{v1alpha1.ReasonSucceeded, "The server's metadata was fetched."}, nil
}

// ofDiscovery says who must act when there is no metadata.
func ofDiscovery(err error, url string) error {
	switch kind, _ := provider.KindOf(err); kind {
	case provider.KindNotFound:
		return userMustAct(v1alpha1.ReasonIssuerNotFound,
			"There is no authorization server at %s (%v). Is the realm's name right? The issuer is immutable: correct it in a new object.", url, err)
	case provider.KindInvalid:
		return userMustAct(v1alpha1.ReasonInvalidMetadata,
			"What answers at %s is no authorization server: %v. Correct spec.connection.url, or the issuer in a new object.", url, err)
	case provider.KindForbidden, provider.KindCredentials, provider.KindConflict, provider.KindServer, provider.KindUnreachable,
		provider.KindRateLimited, provider.KindTokenClientNotFound, provider.KindTooManyAudiences,
		provider.KindAmbiguous, provider.KindAccessLost, provider.KindUnsupported, provider.KindNotAdoptable:
	}
	return tryAgain(v1alpha1.ReasonUnreachable, err, "The server does not answer at %s: %v. It is asked again. Is the address right, and may the operator reach it?", url, err)
}

// verifyIssuer compares the issuer byte for byte (RFC 8414 section 3.3).
func (s *serverScope) verifyIssuer(context.Context) (outcome, error) {
	if s.metadata.Issuer != s.object.Spec.Issuer {
		return outcome{}, userMustAct(v1alpha1.ReasonIssuerMismatch,
			"The server calls itself %q, the object says %q; tokens name the first. Create an object with the server's own issuer and put where to call it into spec.connection.url, or set the server's hostname; spec.connection.hostHeader Issuer helps where the server takes its name from the request.",
			provider.Clean(s.metadata.Issuer), s.object.Spec.Issuer)
	}
	if s.metadata.IntrospectionEndpoint == "" {
		return outcome{}, userMustAct(v1alpha1.ReasonInvalidMetadata, "The server's metadata names no introspection_endpoint (RFC 7662): it can't be asked about tokens.")
	}
	s.object.Status.Endpoints = &v1alpha1.ServerEndpoints{
		Introspection: s.metadata.IntrospectionEndpoint,
		Token:         s.metadata.TokenEndpoint,
		Revocation:    s.metadata.RevocationEndpoint,
		JWKS:          s.metadata.JWKSURI,
		Registration:  s.metadata.RegistrationEndpoint,
	}
	return outcome{v1alpha1.ReasonSucceeded, "The metadata names this issuer."}, nil
}

// project writes what the webhook needs to ask this server. A server that can't be
// reached keeps the record that it has: the data plane goes on.
func (s *serverScope) project(ctx context.Context) (outcome, error) {
	return outcome{}, s.store.SaveServer(ctx, credential.WebhookServer{
		Name: s.object.Name, UID: string(s.object.UID), Issuer: s.object.Spec.Issuer,
		IntrospectionEndpoint: s.object.Status.Endpoints.Introspection, HostHeader: hostHeaderFor(s.object, s.object.Status.Endpoints.Introspection),
		CA: string(s.conn.ca), Timeout: callTimeout(s.object), Namespaces: s.namespaces,
		JWKSURI: s.object.Status.Endpoints.JWKS, Algorithms: algorithmsOf(s.object), Types: tokenTypesOf(s.object),
	})
}

// granted are the namespaces that may use the server.
func (s *serverScope) granted(ctx context.Context) ([]string, error) {
	selector, err := accessSelector(s.object)
	if err != nil {
		return nil, err
	}
	list := &corev1.NamespaceList{}
	if err := s.List(ctx, list, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}

// accessSelector selects the namespaces that may use a server: without access none.
func accessSelector(server *v1alpha1.ClusterAuthorizationServer) (labels.Selector, error) {
	if server.Spec.Access == nil || server.Spec.Access.NamespaceSelector == nil {
		return labels.Nothing(), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(server.Spec.Access.NamespaceSelector)
	if err != nil {
		return nil, userMustAct(v1alpha1.ReasonAccessDenied, "spec.access.namespaceSelector of ClusterAuthorizationServer %s is no label selector: %v.", server.Name, err)
	}
	return selector, nil
}

// authenticate signs in, and finds out what the sign-in may do and the server can.
func (s *serverScope) authenticate(ctx context.Context) (outcome, error) {
	opened, err := s.sessions.start(ctx, s.object, s.conn, s.metadata)
	if err != nil {
		return outcome{}, err
	}
	report, err := opened.Probe(ctx)
	var refused *provider.Error
	if errors.As(err, &refused) && refused.Kind == provider.KindForbidden {
		return outcome{}, userMustAct(v1alpha1.ReasonMissingRights,
			"The operator signed in but may not manage clients (%v). %s", err, cmp.Or(refused.Advice, "Give its client the right to."))
	}
	if err != nil {
		return outcome{}, ofProvider(err, s.object.Name)
	}
	can := s.sessions.tokensOf(s.object, report.Capabilities)
	if seen := opened.introspectsJWTs(); seen != provider.SupportUnknown {
		can.JWTs = seen
	}
	opened.jwts.Store(can.JWTs)
	opened.shownRevocations(&can)
	s.object.Status.Capabilities = capabilitiesOf(s.object, report.Rights, can)
	s.object.Status.Capabilities.IntrospectionAuthMethods = normalised(s.object, s.metadata).IntrospectionAuthMethods
	s.object.Status.Endpoints.Registration = report.RegistrationURL
	switch {
	case isManual(s.object):
		return outcome{v1alpha1.ReasonUnmanaged, "Registration is Manual: there is nothing to sign in for."}, nil
	case report.Rights == provider.RightsManage:
		return outcome{v1alpha1.ReasonSucceeded, "The operator signed in and may manage clients."}, nil
	default:
		return outcome{v1alpha1.ReasonSucceeded, "Nothing speaks against the operator's sign-in; whether it may register clients shows at the first one."}, nil
	}
}

// finalize lets the server go when no client refers to it.
func (s *serverScope) finalize(ctx context.Context) (ctrl.Result, error) {
	user, err := s.user(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	if user != "" {
		_, _ = s.status().halted(v1alpha1.ConditionReady, worldMustChange(time.Minute, v1alpha1.ReasonInUse, "%s", user))
		return ctrl.Result{RequeueAfter: jitter(time.Minute)}, nil
	}
	if err := s.store.DeleteServer(ctx, s.object.Name); err != nil {
		return ctrl.Result{}, err
	}
	s.sessions.forget(s.object.UID)
	return ctrl.Result{}, removeFinalizer(ctx, s.Client, s.object)
}

// user says who is registered at the server, if somebody is. It looks live: one that
// a cache does not know yet could never be cleaned up. Who only refers to the server,
// without access, does not hold it; a record whose object is gone does.
func (s *serverScope) user(ctx context.Context) (string, error) {
	clients := &v1alpha1.IntrospectionClientList{}
	if err := s.store.Reader.List(ctx, clients, client.MatchingFields{indexServer: s.object.Name}); err != nil {
		return "", fmt.Errorf("listing the clients of a server: %w", err)
	}
	for i := range clients.Items {
		c := &clients.Items[i]
		record, err := s.store.LoadRecord(ctx, credential.Object{Namespace: c.Namespace, Name: c.Name})
		broken := errors.Is(err, credential.ErrBroken) // but there
		if err != nil && !broken {
			return "", err
		}
		if record != nil || broken {
			return fmt.Sprintf("IntrospectionClients are registered at this server, %s/%s among them. It goes when they are deleted.", c.Namespace, c.Name), nil
		}
	}
	record, err := s.store.RegisteredWith(ctx, s.object.Name, s.object.Spec.Issuer)
	if record == nil {
		return "", err
	}
	return fmt.Sprintf("Client %s of IntrospectionClient %s is registered at this server, and the object is gone without having been cleaned up. That is done %s after it was missed first; create the object again and delete it to have it done now.",
		record.ClientID, record.Object, orphanGrace), nil
}
