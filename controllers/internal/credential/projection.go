// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// WebhookClient is what the webhook knows of a client: enough to ask the server,
// and to recognise the workload's secret without knowing it.
type WebhookClient struct {
	// Object is the IntrospectionClient.
	Object Object
	UID    string
	// Server is the name of the ClusterAuthorizationServer.
	Server string
	// ClientID at the server.
	ClientID string
	// CallerID is what workloads call themselves at our endpoint.
	CallerID string
	// Verified says that a live introspection was answered once.
	Verified bool
	// Credentials are the server's, the one to try first in front.
	Credentials []ServerCredential
	// FacadeSecrets are the SHA-256 of the workload's secrets, in hex, that are good now.
	FacadeSecrets []FacadeSecret
}

// ServerCredential is one that a client proves itself with at the server: a secret,
// or a private key, or a ServiceAccount of the webhook's namespace.
type ServerCredential struct {
	ClientID       string
	Secret         provider.Secret
	PrivateKey     provider.Secret
	KeyID          string
	ServiceAccount string
}

// FacadeSecret is the hash of a workload's secret. The secret has 256 random
// bits, so a plain hash tells nothing.
type FacadeSecret struct {
	SHA256 string `json:"sha256"`
	// NotAfter is its end; zero means none.
	NotAfter time.Time `json:"notAfter,omitzero"`
}

// WebhookServer is what the webhook knows of an authorization server.
type WebhookServer struct {
	// Name and UID of the ClusterAuthorizationServer.
	Name string `json:"name"`
	UID  string `json:"uid"`
	// Issuer is compared with `iss`.
	Issuer string `json:"issuer"`
	// IntrospectionEndpoint is called.
	IntrospectionEndpoint string `json:"introspectionEndpoint"`
	// HostHeader is sent instead of the endpoint's host, if set.
	HostHeader string `json:"hostHeader,omitempty"`
	// CA are PEM certificates; empty means the system's.
	CA string `json:"ca,omitempty"`
	// Timeout of one call.
	Timeout time.Duration `json:"timeout"`
	// JWKSURI is where the server's signing keys are (RFC 7517); empty where it publishes none.
	JWKSURI string `json:"jwksURI,omitempty"`
	// Algorithms that its access tokens may be signed with (RFC 7518); empty means every asymmetric one.
	Algorithms []string `json:"algorithms,omitempty"`
	// Types are what `typ` of their header may be, for example at+jwt (RFC 9068).
	Types []string `json:"types,omitempty"`
	// Namespaces that may use the server.
	Namespaces []string `json:"namespaces"`
}

type clientWire struct {
	Object        Object         `json:"object"`
	UID           string         `json:"uid"`
	Server        string         `json:"server"`
	ClientID      string         `json:"clientID"`
	CallerID      string         `json:"callerID"`
	Verified      bool           `json:"verified"`
	Credentials   []valueWire    `json:"credentials"`
	FacadeSecrets []FacadeSecret `json:"facadeSecrets"`
}

// Project makes the webhook's view of a record.
func (r *Record) Project() WebhookClient {
	c := WebhookClient{
		Object: r.Object, UID: r.UID, Server: r.Server, ClientID: r.ClientID, CallerID: cmp.Or(r.CallerID, r.ClientID),
		Verified:      r.Current != nil,
		FacadeSecrets: []FacadeSecret{{SHA256: HashSecret(r.Facade.Secret)}},
	}
	if r.NextFacade != nil { // replicas know it before it is published
		c.FacadeSecrets = append(c.FacadeSecrets, FacadeSecret{SHA256: HashSecret(r.NextFacade.Secret)})
	}
	if r.PreviousFacade != nil {
		c.FacadeSecrets = append(c.FacadeSecrets, FacadeSecret{SHA256: HashSecret(r.PreviousFacade.Secret), NotAfter: r.PreviousEnds})
	}
	for _, v := range []*Value{r.Current, r.Next, r.Previous} {
		if v != nil && v.Known() {
			c.Credentials = append(c.Credentials, r.Proof(*v))
		}
	}
	return c
}

// Proof is what a value proves the record's client by.
func (r *Record) Proof(v Value) ServerCredential {
	return ServerCredential{
		ClientID: cmp.Or(v.ClientID, r.ClientID), Secret: v.Secret,
		PrivateKey: v.PrivateKey, KeyID: v.KeyID, ServiceAccount: v.ServiceAccount,
	}
}

// Usable says that the webhook can do something with the projection.
func (c WebhookClient) Usable() bool { return c.ClientID != "" && len(c.Credentials) > 0 }

// HashSecret is the SHA-256 of a secret, in hex.
func HashSecret(s provider.Secret) string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])
}

func (c WebhookClient) encode() ([]byte, error) {
	w := clientWire{
		Object: c.Object, UID: c.UID, Server: c.Server, ClientID: c.ClientID, CallerID: c.CallerID, Verified: c.Verified,
		FacadeSecrets: c.FacadeSecrets,
	}
	for _, s := range c.Credentials {
		v := Value{Secret: s.Secret, PrivateKey: s.PrivateKey, KeyID: s.KeyID, ServiceAccount: s.ServiceAccount, ClientID: s.ClientID}
		w.Credentials = append(w.Credentials, *wireOf(&v))
	}
	return json.Marshal(w)
}

// DecodeWebhookClient reads the Secret's data of a webhook's client.
func DecodeWebhookClient(data map[string][]byte) (WebhookClient, error) {
	var w clientWire
	if err := json.Unmarshal(data[keyClient], &w); err != nil || w.Object.Namespace == "" || w.Object.Name == "" || w.UID == "" || w.Server == "" || w.ClientID == "" {
		return WebhookClient{}, fmt.Errorf("client: %w", ErrBroken)
	}
	c := WebhookClient{
		Object: w.Object, UID: w.UID, Server: w.Server, ClientID: w.ClientID, CallerID: w.CallerID, Verified: w.Verified,
		FacadeSecrets: w.FacadeSecrets,
	}
	for i := range w.Credentials {
		v := w.Credentials[i].value()
		c.Credentials = append(c.Credentials, ServerCredential{
			ClientID: v.ClientID, Secret: v.Secret, PrivateKey: v.PrivateKey, KeyID: v.KeyID, ServiceAccount: v.ServiceAccount,
		})
	}
	return c, nil
}

func (s WebhookServer) encode() ([]byte, error) {
	slices.Sort(s.Namespaces)
	return json.Marshal(s)
}

// DecodeWebhookServer reads the Secret's data of a webhook's server.
func DecodeWebhookServer(data map[string][]byte) (WebhookServer, error) {
	var s WebhookServer
	if err := json.Unmarshal(data[keyServer], &s); err != nil || s.Name == "" || s.UID == "" || s.Issuer == "" || s.IntrospectionEndpoint == "" {
		return WebhookServer{}, fmt.Errorf("server: %w", ErrBroken)
	}
	return s, nil
}
