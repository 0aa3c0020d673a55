// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/webhook/engine"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// snapshotReconciler runs in every webhook replica and only reads: objects and
// the records of the webhook's own namespace become the engine's state.
type snapshotReconciler struct {
	client.Reader

	namespace string
	mint      *mint
	engine    *engine.Engine
	clock     clock.PassiveClock
	// loaded is told that there is a new snapshot, whose rules are to be compiled.
	loaded chan struct{}
	// certificate is the serving one; it is swapped while serving.
	certificate atomic.Pointer[tls.Certificate]
	// compiled keeps what did not change: 10,000 policies are not compiled anew for one.
	compiled map[types.UID]engine.PolicyState
	// clients keeps what did not change either: reading a client's key takes longer than all the rest.
	clients map[types.UID]readClient
}

// readClient is a client as it was read from one version of its Secret.
type readClient struct {
	version, issuer, server string
	state                   engine.ClientState
}

// Certificate is the serving certificate, for every handshake.
func (r *snapshotReconciler) Certificate() (*tls.Certificate, error) {
	if c := r.certificate.Load(); c != nil {
		return c, nil
	}
	return nil, errors.New("there is no serving certificate yet: the controller writes it")
}

// Reconcile takes a new snapshot.
func (r *snapshotReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	log := ctrl.LoggerFrom(ctx)
	state := engine.State{TakenAt: r.clock.Now()}
	policies := &v1alpha1.TokenPolicyList{}
	if err := r.List(ctx, policies, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing policies: %w", err)
	}
	secrets := &corev1.SecretList{}
	if err := r.List(ctx, secrets, client.InNamespace(r.namespace), client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing the webhook's records: %w", err)
	}
	state.Policies = r.compile(policies)
	leftOut := func(i int, err error) { // one broken object must not keep the others from the snapshot
		if err != nil {
			log.Error(err, "a record of the webhook can't be read; it is left out", "secret", secrets.Items[i].Name)
		}
	}
	for i := range secrets.Items {
		leftOut(i, r.readServer(&state, &secrets.Items[i]))
	}
	servers, kept := serversByName(&state), make(map[types.UID]readClient, len(r.clients))
	for i := range secrets.Items { // the servers' issuers are the audience of assertions
		leftOut(i, r.readClient(&state, servers, kept, &secrets.Items[i]))
	}
	r.clients = kept
	r.engine.Load(state)
	select {
	case r.loaded <- struct{}{}:
	default: // it is told already
	}
	return ctrl.Result{}, nil
}

// prepare compiles the rules of each snapshot: they cost too much to wait for before
// anything is answered, and too much for the first request.
func (r *snapshotReconciler) prepare(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.loaded:
			if err := r.prepareAll(ctx); err != nil { // the others' are compiled when they are asked
				ctrl.LoggerFrom(ctx).Error(err, "the rules of a policy can't be compiled")
			}
		}
	}
}

// prepareAll contains a panic over one tenant's words: it must not end the process.
func (r *snapshotReconciler) prepareAll(ctx context.Context) (err error) {
	defer contain(&err)
	r.engine.Prepare(ctx)
	return nil
}

func (r *snapshotReconciler) compile(list *v1alpha1.TokenPolicyList) []engine.PolicyState {
	kept := make(map[types.UID]engine.PolicyState, len(list.Items))
	states := make([]engine.PolicyState, 0, len(list.Items))
	for i := range list.Items {
		object := &list.Items[i]
		state, ok := r.compiled[object.UID]
		if !ok || state.Generation != object.Generation {
			compiled, err := compileOne(object)
			state = engine.PolicyState{
				Ref: token.Ref{Namespace: object.Namespace, Name: object.Name},
				UID: string(object.UID), Generation: object.Generation, Compiled: compiled, Err: err,
			}
		}
		kept[object.UID] = state
		states = append(states, state)
	}
	r.compiled = kept
	return states
}

// compileOne compiles a tenant's words: what they break is their own policy.
func compileOne(object *v1alpha1.TokenPolicy) (compiled *policy.Policy, err error) {
	defer contain(&err)
	return policy.Compile(object)
}

// contain makes a panic over one object that object's error.
func contain(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("a fault of the webhook in reading it (%T)", v)
	}
}

// readServer takes one Secret of the webhook's namespace into the state, unless it is a client's.
func (r *snapshotReconciler) readServer(state *engine.State, secret *corev1.Secret) (err error) {
	defer contain(&err)
	switch secret.Labels[credential.LabelKind] {
	case credential.KindServer:
		s, err := credential.DecodeWebhookServer(secret.Data)
		if err != nil {
			return err
		}
		state.Servers = append(state.Servers, serverState(s))
	case credential.KindTLS:
		if secret.Name != credential.ServingName {
			return nil
		}
		pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
		if err != nil {
			return errors.New("the serving certificate and its key do not fit")
		}
		r.certificate.Store(&pair)
	}
	return nil
}

// readClient takes one Secret of the webhook's namespace into the state, if it is a client's.
func (r *snapshotReconciler) readClient(state *engine.State, servers map[string]engine.ServerState, kept map[types.UID]readClient, secret *corev1.Secret) (err error) {
	defer contain(&err)
	if secret.Labels[credential.LabelKind] != credential.KindClient {
		return nil
	}
	c, err := credential.DecodeWebhookClient(secret.Data)
	if err != nil {
		return err
	}
	server := servers[c.Server]
	read, ok := r.clients[secret.UID]
	if !ok || read.version != secret.ResourceVersion || read.issuer != server.Issuer || read.server != server.UID {
		read = readClient{version: secret.ResourceVersion, issuer: server.Issuer, server: server.UID}
		if read.state, err = r.clientState(c, server); err != nil {
			return err
		}
	}
	kept[secret.UID] = read
	state.Clients = append(state.Clients, read.state)
	return nil
}

// clientState makes a client of its record. Its server is keyed by UID: one made anew under
// an old name is another one.
func (r *snapshotReconciler) clientState(c credential.WebhookClient, server engine.ServerState) (engine.ClientState, error) {
	state := engine.ClientState{
		Ref: token.Ref{Namespace: c.Object.Namespace, Name: c.Object.Name},
		UID: c.UID, Server: server.UID, ClientID: c.ClientID, CallerID: c.CallerID, Verified: c.Verified,
	}
	var broken error
	for _, s := range c.Credentials {
		proof, err := proofOf(s, server.Issuer, r.namespace, r.mint)
		if err != nil {
			broken = err // another one may do
			continue
		}
		state.Credentials = append(state.Credentials, proof)
	}
	if len(state.Credentials) == 0 && broken != nil {
		return engine.ClientState{}, broken
	}
	for _, f := range c.FacadeSecrets {
		var sum [32]byte
		if len(f.SHA256) != hex.EncodedLen(len(sum)) {
			continue
		}
		if _, err := hex.Decode(sum[:], []byte(f.SHA256)); err != nil {
			continue
		}
		state.FacadeSecrets = append(state.FacadeSecrets, engine.FacadeSecret{SHA256: sum, NotAfter: f.NotAfter})
	}
	return state, nil
}

func serverState(s credential.WebhookServer) engine.ServerState {
	state := engine.ServerState{
		UID: s.UID, Name: s.Name, Issuer: s.Issuer, IntrospectionEndpoint: s.IntrospectionEndpoint,
		HostHeader: s.HostHeader, CAPEM: []byte(s.CA), Timeout: s.Timeout,
		JWKSURI: s.JWKSURI, Algorithms: s.Algorithms, Types: s.Types,
		Namespaces: make(map[string]struct{}, len(s.Namespaces)),
	}
	for _, n := range s.Namespaces {
		state.Namespaces[n] = struct{}{}
	}
	return state
}

// serversByName are the servers as the clients' records name them.
func serversByName(state *engine.State) map[string]engine.ServerState {
	named := make(map[string]engine.ServerState, len(state.Servers))
	for _, s := range state.Servers {
		named[s.Name] = s
	}
	return named
}
