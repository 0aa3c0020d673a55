// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/introspection-dev/introspection-operator/api/v1alpha1"
	"github.com/introspection-dev/introspection-operator/controllers/internal/credential"
	"github.com/introspection-dev/introspection-operator/test/idp/oauth"
)

// restoreSites are the kinds of servers that docs/restore.md tells apart. choosesIDs says that the
// access to a registration can't be had again, nor its id.
var restoreSites = map[string]struct {
	at         func(*testing.T) *site
	choosesIDs bool
	methods    []v1alpha1.AuthenticationMethod
}{
	"keycloak": {keycloakSite(nil), false, everyMethod},
	"policed":  {keycloakSite(policed()), false, everyMethod[:1]}, // its policy is about secrets
	"duende":   {duendeSite, false, everyMethod},
	"oauth":    {oauthSite(oauth.Options{NewRegistrationToken: true}), true, everyMethod},
}

// everyMethod is each way to authenticate that all kinds of servers take.
var everyMethod = []v1alpha1.AuthenticationMethod{v1alpha1.MethodClientSecret, v1alpha1.MethodPrivateKeyJWT}

// everySite runs a test at each kind of server, with each credential that it takes.
func everySite(t *testing.T, run func(s *site, c *v1alpha1.IntrospectionClient, choosesIDs bool)) {
	t.Helper()
	for kind, at := range restoreSites {
		for _, m := range at.methods {
			t.Run(kind+"/"+string(m), func(t *testing.T) {
				s := at.at(t)
				s.create(s.server)
				c := s.clientObject("orders", s.needs, method(m), handled)
				s.made = []string{s.tenant + ".orders"}
				s.create(c)
				run(s, c, at.choosesIDs)
			})
		}
	}
}

// handled has annotations that were acted upon before the backup.
func handled(c *v1alpha1.IntrospectionClient) {
	c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1", v1alpha1.AnnotationRevokePrevious: "1"}
}

// sound asserts one registration that works and that tokens name.
func (s *site) sound(c *v1alpha1.IntrospectionClient) *credential.StoredRecord {
	s.t.Helper()
	s.ready(c)
	s.one(c)
	r := s.record(c)
	if !s.mapped(r.ClientID) {
		s.t.Error("tokens don't name the client")
	}
	return r
}

// kept says whether a server's credential is the one from before.
func kept(after, before *credential.StoredRecord) bool { return after.Current.Same(*before.Current) }

// The server restored from before the registration, or thrown away and imported anew: nobody
// notices, but who talks to a server that chooses ids.
func TestTheServerIsRestored(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		lose   func(s *site, clientID string)
	}{
		"from before":    {"only the registration is missing", func(s *site, id string) { s.remove(id) }},
		"imported anew":  {"the operator's own token is not known either", func(s *site, _ string) { s.anew() }},
		"while we slept": {"it is found by whoever starts", nil},
	} {
		t.Run(name, func(t *testing.T) {
			everySite(t, func(s *site, c *v1alpha1.IntrospectionClient, choosesIDs bool) {
				stop := s.start(nil)
				before := s.sound(c)
				mounted := s.secret(s.tenant, "orders")
				if tc.lose == nil {
					stop()
					s.anew()
					s.start(nil)
				} else {
					tc.lose(s, before.ClientID)
					s.hint(c)
				}
				s.eventually(tc.reason, func(ctx context.Context) error {
					if err := s.isReady(ctx, c); err != nil {
						return err
					}
					r := s.recordNow(ctx, c)
					if ids := s.registered(); len(ids) != 1 || r.Current == nil || r.Next != nil || ids[0] != r.ClientID || c.Status.ClientID != r.ClientID || !s.mapped(r.ClientID) {
						return errors.New("it is not registered again")
					}
					return nil
				})
				if note := s.said(s.tenant, "DriftRepaired"); strings.Contains(note, "the same id and secret") == choosesIDs {
					s.t.Errorf("what was done? %s", note)
				}
				after := s.sound(c)
				if same := after.ClientID == before.ClientID && kept(after, before); same == choosesIDs {
					s.t.Errorf("%s: client %s was %s, and its credential is the one from before: %t", tc.reason, after.ClientID, before.ClientID, kept(after, before))
				}
				if again := s.secret(s.tenant, "orders"); again.ResourceVersion != mounted.ResourceVersion {
					s.t.Errorf("%s: the mounted Secret was written", tc.reason)
				}
			})
		})
	}
}

// restored is what a backup tool brings back with the object, and what is expected of it.
type restored struct {
	reason string
	// kept says that nothing but the object was lost; the mounted Secret is restored all the same.
	kept, mounted, record bool
	// facade and server say that the credentials of the backup go on.
	facade, server bool
	// says is the Event; chosen is it where the server chooses ids, if that is another.
	says, chosen string
}

// restorations are the rows of docs/restore.md.
var restorations = map[string]restored{
	"all of it":                           {"nobody notices", false, true, true, true, true, "RecordRestored", ""},
	"the objects, and the records stayed": {"the record knows what was handled", true, true, false, true, true, "Continued", ""},
	"not the mounted Secrets":             {"they are made of the records", false, false, true, true, true, "RecordRestored", ""},
	"not the records":                     {"workloads keep their secret, the server gets another", false, true, false, true, false, "RecordLost", ""},
	"neither":                             {"our registration is known by its mark, where it is shown", false, false, false, false, false, "TakenUp", "Registered"},
}

// restore loses a client, and brings back what the backup tool does.
func (s *site) restore(c *v1alpha1.IntrospectionClient, b backup, tc restored) {
	s.t.Helper()
	if tc.kept {
		s.strip(c)
		s.deleteSecret(b.mounted.Namespace, b.mounted.Name)
	} else {
		s.wipe(c)
	}
	if tc.mounted {
		s.create(b.mounted)
	}
	if tc.record {
		s.create(b.record)
	}
	s.create(b.object)
}

// A backup tool restores the cluster's objects: other UIDs, no status, no owner references, no
// finalizers. Whatever came with them, there is one registration, and a credential that works.
func TestTheClusterIsRestored(t *testing.T) {
	for name, tc := range restorations {
		t.Run(name, func(t *testing.T) {
			everySite(t, func(s *site, c *v1alpha1.IntrospectionClient, choosesIDs bool) {
				stop := s.start(nil)
				before := s.sound(c)
				mounted := s.secret(s.tenant, "orders")
				stop()
				s.restore(c, s.backUp(c), tc)
				s.start(nil)
				again := s.clientObject("orders")
				s.ready(again)
				if choosesIDs && tc.chosen != "" {
					tc.says = tc.chosen
				}
				note := s.said(s.tenant, tc.says)
				if lost := choosesIDs && !tc.server; lost {
					s.leftThere(before, tc, note)
				}
				after := s.sound(again)
				if kept(after, before) != tc.server {
					s.t.Errorf("%s: the server's credential goes on: %t", tc.reason, !tc.server)
				}
				if (after.ClientID == before.ClientID && after.RegistrationID == before.RegistrationID) == (choosesIDs && !tc.server) {
					s.t.Errorf("%s: registration %s (%s) was %s (%s)", tc.reason, after.ClientID, after.RegistrationID, before.ClientID, before.RegistrationID)
				}
				if after.Overlaps() || after.Rotating() || after.Rotated != "1" || after.Revoked != "1" {
					s.t.Errorf("%s: rotated for %q, revoked for %q", tc.reason, after.Rotated, after.Revoked)
				}
				s.holdsFor(again, mounted, tc)
			})
		})
	}
}

// leftThere asserts that a client which nobody has access to any more is left at the server, and
// named wherever anything of it was restored; and deletes it, as its people do.
func (s *site) leftThere(before *credential.StoredRecord, tc restored, note string) {
	s.t.Helper()
	if ids := s.registered(); len(ids) != 2 || !slices.Contains(ids, before.ClientID) {
		s.t.Errorf("%s: registered %q", tc.reason, ids)
	}
	if tc.facade && !strings.Contains(note, "Delete "+before.ClientID) {
		s.t.Errorf("which client is left at the server? %s", note)
	}
	s.remove(before.ClientID)
}

// holdsFor asserts what workloads mount after a restore, and that it goes with its object.
func (s *site) holdsFor(again *v1alpha1.IntrospectionClient, before *corev1.Secret, tc restored) {
	s.t.Helper()
	now := s.secret(s.tenant, "orders")
	for _, key := range []string{"client_id", "client_secret"} {
		same := string(now.Data[key]) == string(before.Data[key])
		if tc.facade && !same || key == "client_secret" && same != tc.facade {
			s.t.Errorf("%s: the %s that workloads mount goes on: %t", tc.reason, key, same)
		}
	}
	if !metav1.IsControlledBy(now, again) {
		s.t.Errorf("%s: nothing would collect the mounted Secret", tc.reason)
	}
}
