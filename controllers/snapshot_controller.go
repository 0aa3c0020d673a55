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
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
	"github.com/introspection-dev/introspection-operator/webhook/policy"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// snapshotReconciler runs in every webhook replica and only reads: objects and
// the records of the webhook's own namespace become the engine's state.
type snapshotReconciler struct {
	client.Reader

	namespace string
	engine    *engine.Engine
	clock     clock.PassiveClock
	// certificate is the serving one; it is swapped while serving.
	certificate atomic.Pointer[tls.Certificate]
	// compiled keeps what did not change: 10,000 policies are not compiled anew for one.
	compiled map[types.UID]engine.PolicyState
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
	for i := range secrets.Items {
		// One broken object must not keep the others from the snapshot.
		if err := r.read(&state, &secrets.Items[i]); err != nil {
			log.Error(err, "a record of the webhook can't be read; it is left out", "secret", secrets.Items[i].Name)
		}
	}
	linkServers(&state)
	r.engine.Load(state)
	return ctrl.Result{}, nil
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

// read takes one Secret of the webhook's namespace into the state.
func (r *snapshotReconciler) read(state *engine.State, secret *corev1.Secret) (err error) {
	defer contain(&err)
	switch secret.Labels[credential.LabelKind] {
	case credential.KindClient:
		c, err := credential.DecodeWebhookClient(secret.Data)
		if err != nil {
			return err
		}
		state.Clients = append(state.Clients, clientState(c))
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

func clientState(c credential.WebhookClient) engine.ClientState {
	state := engine.ClientState{
		Ref: token.Ref{Namespace: c.Object.Namespace, Name: c.Object.Name},
		UID: c.UID, Server: c.Server, ClientID: c.ClientID, Verified: c.Verified,
	}
	for _, s := range c.Credentials {
		state.Credentials = append(state.Credentials, introspect.Credential{ClientID: c.ClientID, Secret: introspect.Secret(s.Reveal())})
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
	return state
}

func serverState(s credential.WebhookServer) engine.ServerState {
	state := engine.ServerState{
		UID: s.UID, Name: s.Name, Issuer: s.Issuer, IntrospectionEndpoint: s.IntrospectionEndpoint,
		HostHeader: s.HostHeader, CAPEM: []byte(s.CA), Timeout: s.Timeout,
		Namespaces: make(map[string]struct{}, len(s.Namespaces)),
	}
	for _, n := range s.Namespaces {
		state.Namespaces[n] = struct{}{}
	}
	return state
}

// linkServers makes a client's server, which its record names, into the UID that
// the engine keys by: a server made anew under an old name is another one.
func linkServers(state *engine.State) {
	uids := make(map[string]string, len(state.Servers))
	for _, s := range state.Servers {
		uids[s.Name] = s.UID
	}
	for i := range state.Clients {
		state.Clients[i].Server = uids[state.Clients[i].Server]
	}
}
