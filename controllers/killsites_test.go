// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
	"github.com/introspection-dev/introspection-operator/test/idp/duende"
	"github.com/introspection-dev/introspection-operator/test/idp/fault"
	"github.com/introspection-dev/introspection-operator/test/idp/keycloak"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
	"github.com/introspection-dev/introspection-operator/webhook/introspect"
)

// site is a world with an authorization server of some kind, and the hands of those who
// stand at it.
type site struct {
	*world

	server *v1alpha1.ClusterAuthorizationServer
	// made are the client ids that the test's objects had, where objects say them.
	made []string
	// needs is what each client must have there.
	needs clientChange
	// registered are the client ids of all registrations that were not there at first.
	registered func() []string
	// foreign is all that nobody but its owners may touch.
	foreign func() any
	// remove takes a registration away, as the restore of a backup from before it does.
	remove func(clientID string)
	// anew throws away all that the server has, and imports what was there at first.
	anew func()
	// mapped says whether tokens come to name the client, as they do by default.
	mapped func(clientID string) bool
	// edit changes what the operator keeps, and edited says whether that still stands.
	edit   func(clientID string)
	edited func(clientID string) bool
	// inject lets calls to the server go wrong.
	inject func(fault.Fault) (remove func())
	// begin and every are a story's run and every.
	begin func(*killer) (stop func())
	every int
}

// keycloakSite rotates by a client policy, or has one secret at a time.
func keycloakSite(policy *keycloak.Rotation) func(*testing.T) *site {
	return func(t *testing.T) *site {
		t.Helper()
		w := newWorld(t)
		w.idp.SetRotation(policy)
		s := &site{
			world: w, needs: func(*v1alpha1.IntrospectionClient) {},
			server: w.serverObject(func(s *v1alpha1.ClusterAuthorizationServer) {
				s.Spec.Keycloak.TokenClients = []string{tokenClient, "mobile"}
			}),
			foreign: func() any {
				found := w.strangers()
				for _, c := range found {
					delete(c.(map[string]any), "defaultClientScopes")
					delete(c.(map[string]any), "optionalClientScopes")
				}
				return found
			},
			remove: w.idp.DeleteClient,
			anew: func() {
				w.idp.Reimport(keycloak.Operator(operatorID, operatorPass), keycloak.Client{ID: tokenClient, Secret: "web-secret"}, keycloak.Client{ID: "mobile", Secret: "mobile-secret"})
			},
			mapped: func(id string) bool {
				defaults, _ := w.idp.Attached(tokenClient)
				return count(defaults, "introspection:"+id) == 1
			},
			edit: func(id string) {
				w.idp.EditClient(id, map[string]any{"name": "by hand", "directAccessGrantsEnabled": true})
			},
			edited: func(id string) bool {
				c := w.idp.Client(id)
				return c["name"] == "by hand" || c["directAccessGrantsEnabled"] == true
			},
			inject: w.idp.Inject,
		}
		s.registered = func() (ids []string) {
			for _, id := range s.made {
				if w.idp.Client(id) != nil {
					ids = append(ids, id)
				}
			}
			return ids
		}
		return s
	}
}

func duendeSite(t *testing.T) *site {
	t.Helper()
	s, _ := duendeHost(t)
	return s
}

func duendeHost(t *testing.T) (*site, *duende.Server) {
	t.Helper()
	w := newWorld(t)
	idp, server := w.duendeServer(duende.Recorded())
	server.Spec.Access.Scopes = []string{ordersScope, "orders.write"}
	const theirs = "legacy-api"
	return &site{
		world: w, server: server, needs: scoped,
		registered: func() []string {
			return slices.DeleteFunc(idp.Resources(), func(name string) bool { return name == theirs })
		},
		foreign: func() any { r, _ := idp.Resource(theirs); return r },
		remove:  idp.RemoveResource,
		anew:    idp.Reimport,
		mapped: func(id string) bool {
			r, _ := idp.Resource(id)
			return slices.Equal(r.Scopes, []string{ordersScope})
		},
		edit: func(id string) {
			name := "by hand"
			idp.EditResource(id, func(r *duende.Resource) { r.DisplayName = &name })
		},
		edited: func(id string) bool {
			r, _ := idp.Resource(id)
			return r.DisplayName != nil && *r.DisplayName == "by hand"
		},
		inject: idp.Inject,
	}, idp
}

func oauthSite(o oauth.Options) func(*testing.T) *site {
	return func(t *testing.T) *site {
		t.Helper()
		w := newWorld(t)
		idp, server := w.oauthServer(o)
		s := &site{
			world: w, server: server, needs: scoped,
			registered: idp.Registered, foreign: func() any { return nil },
			remove: func(id string) { idp.Remove(id) },
			anew:   idp.Reimport,
			mapped: func(id string) bool { return idp.Metadata(id)["scope"] == ordersScope },
			edit: func(id string) {
				idp.Change(id, func(m map[string]any) { m["client_name"] = "by hand" })
			},
			edited: func(id string) bool { return idp.Metadata(id)["client_name"] == "by hand" },
			inject: idp.Inject,
		}
		if o.NoManagement {
			server.Spec.Access.Retain = v1alpha1.Allowed
			s.needs = func(c *v1alpha1.IntrospectionClient) {
				scoped(c)
				c.Spec.DeletionPolicy = v1alpha1.DeletionRetain
			}
		}
		return s
	}
}

// one asserts one registration, and that the record, the server, the webhook and the
// workload hold what works.
func (s *site) one(c *v1alpha1.IntrospectionClient) {
	s.t.Helper()
	record := s.record(c)
	if record == nil || record.Current == nil || record.Next != nil {
		s.t.Fatalf("the record of %s is not that of one credential in use", c.Name)
	}
	if ids := s.registered(); len(ids) != 1 || ids[0] != record.ClientID || c.Status.ClientID != record.ClientID {
		s.t.Errorf("registered %q, recorded %q, told %q", ids, record.ClientID, c.Status.ClientID)
	}
	if record.RegistrationID != c.Status.RegistrationID {
		s.t.Errorf("the record says registration %s, the status %s", record.RegistrationID, c.Status.RegistrationID)
	}
	if err := s.isProjected(s.t.Context(), c); err != nil {
		s.t.Error(err)
	}
	if err := s.takes(record.Proof(*record.Current)); err != nil {
		s.t.Errorf("the server refuses the credential in use: %v", err)
	}
	if err := s.serves(c); err != nil {
		s.t.Error(err)
	}
}

// isProjected says whether the webhook knows what the record says.
func (s *site) isProjected(ctx context.Context, c *v1alpha1.IntrospectionClient) error {
	secret := &corev1.Secret{}
	if err := s.kube.Get(ctx, s.leftover(c, credential.KindClient), secret); err != nil {
		return err
	}
	p, err := credential.DecodeWebhookClient(secret.Data)
	if err != nil {
		return err
	}
	if r := s.recordNow(ctx, c); r == nil || !reflect.DeepEqual(p, r.Project()) {
		return errors.New("the webhook's record is not the record's projection")
	}
	return nil
}

// serves says why what is published does not: the webhook must know what the workload
// holds, and the server one of what the webhook holds.
func (s *site) serves(c *v1alpha1.IntrospectionClient) error {
	s.t.Helper()
	mounted, p := s.secret(c.Namespace, c.Name), s.projected(c)
	sum := credential.HashSecret(provider.Secret(mounted.Data["client_secret"]))
	if !slices.ContainsFunc(p.FacadeSecrets, func(f credential.FacadeSecret) bool {
		return f.SHA256 == sum && (f.NotAfter.IsZero() || time.Now().Before(f.NotAfter))
	}) {
		return errors.New("the webhook refuses the secret that is mounted")
	}
	var refused []error
	for _, held := range p.Credentials {
		err := s.takes(held)
		if err == nil {
			return nil
		}
		refused = append(refused, err)
	}
	return fmt.Errorf("the server refuses all %d credentials that the webhook holds: %w", len(p.Credentials), errors.Join(refused...))
}

// takes asks the server itself, as the webhook does.
func (s *site) takes(held credential.ServerCredential) error {
	s.t.Helper()
	server := &v1alpha1.ClusterAuthorizationServer{}
	if err := s.kube.Get(s.t.Context(), client.ObjectKeyFromObject(s.server), server); err != nil {
		s.t.Fatal(err)
	}
	asker, err := introspect.New(introspect.Options{
		Endpoint: server.Status.Endpoints.Introspection, Issuer: server.Spec.Issuer,
		Timeout: patience, HTTPClient: http.DefaultClient, Clock: time.Now,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	proof, err := proofOf(held, server.Spec.Issuer, s.config.WebhookNamespace, nil)
	if err != nil {
		return err
	}
	_, err = asker.Introspect(s.t.Context(), proof, nothing())
	return err
}

// retaining is a site where registrations may outlive their objects.
func retaining(at func(*testing.T) *site) func(*testing.T) *site {
	return func(t *testing.T) *site {
		t.Helper()
		s := at(t)
		s.server.Spec.Access.Retain = v1alpha1.Allowed
		return s
	}
}
