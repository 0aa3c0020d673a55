// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/introspection-dev/introspection-operator/webhook/token"
)

// maxListed bounds the lists of tokenReview.
const maxListed = 256

// TokenReviewConfig says what the API server may ask, and which users it is told.
type TokenReviewConfig struct {
	// Policies that may be asked: who may edit one decides who gets into the cluster.
	Policies []token.Ref
	// UsernamePrefix and GroupsPrefix stand before each user and group; never empty, never
	// of system:.
	UsernamePrefix, GroupsPrefix string
	// ExtraKeys are those of a user's extra facts that the API server is told.
	ExtraKeys []string

	cas   []*x509.Certificate
	roots *x509.CertPool
	san   string
}

type fileTokenReview struct {
	ClientCA       string   `json:"clientCA"`
	ClientCAFile   string   `json:"clientCAFile"`
	CertificateSAN string   `json:"certificateSAN"`
	Policies       []string `json:"policies"`
	UsernamePrefix string   `json:"usernamePrefix"`
	GroupsPrefix   string   `json:"groupsPrefix"`
	ExtraKeys      []string `json:"extraKeys"`
}

// Lists says whether a policy may be asked.
func (c *TokenReviewConfig) Lists(policy token.Ref) bool { return slices.Contains(c.Policies, policy) }

// Verify says whether a TLS client is the API server: its chain, its own certificate
// first, ends in the CA that was named and is valid now, and it has the name, if one was
// named.
func (c *TokenReviewConfig) Verify(certs []*x509.Certificate, now time.Time) bool {
	if len(certs) == 0 || c.san != "" && !names(certs[0], c.san) {
		return false
	}
	_, ok := verify(certs, c.roots, now)
	return ok
}

func (f *fileTokenReview) parse() (*TokenReviewConfig, error) {
	c := &TokenReviewConfig{
		UsernamePrefix: f.UsernamePrefix, GroupsPrefix: f.GroupsPrefix, ExtraKeys: f.ExtraKeys, san: f.CertificateSAN,
	}
	for field, prefix := range map[string]string{"usernamePrefix": f.UsernamePrefix, "groupsPrefix": f.GroupsPrefix} {
		if err := checkPrefix(field, prefix); err != nil {
			return nil, err
		}
	}
	if len(f.Policies) == 0 {
		return nil, errors.New("policies is missing: list those that the API server may ask, as namespace/name")
	}
	if len(f.Policies) > maxListed || len(f.ExtraKeys) > maxListed {
		return nil, fmt.Errorf("policies and extraKeys hold at most %d", maxListed)
	}
	for i, listed := range f.Policies {
		policy, ok := parseRef(listed)
		if !ok {
			return nil, fmt.Errorf("policies[%d] %q is not namespace/name", i, listed)
		}
		c.Policies = append(c.Policies, policy)
	}
	for i, key := range f.ExtraKeys {
		if domain, path, ok := strings.Cut(key, "/"); !ok || domain == "" || path == "" || key != strings.ToLower(key) {
			return nil, fmt.Errorf("extraKeys[%d] %q is not a domain and a path in lower case, such as example.com/tenant", i, key)
		}
	}
	var err error
	if c.cas, err = fileCA(f.ClientCA, f.ClientCAFile, "tokenReview"); err != nil {
		return nil, err
	}
	c.roots = pool(c.cas)
	return c, nil
}

// checkPrefix wants what keeps users of tokens apart from all others of the cluster.
func checkPrefix(field, prefix string) error {
	const clusters = "system:"
	lower := strings.ToLower(strings.TrimSpace(prefix))
	switch {
	case prefix == "":
		return fmt.Errorf("%s is missing: set one such as \"oidc:\", else a token could name any user or group of the cluster", field)
	case strings.HasPrefix(lower, clusters), strings.HasPrefix(clusters, lower):
		return fmt.Errorf("%s %q may become system:, which is the cluster's own: set one such as \"oidc:\"", field, prefix)
	}
	for i := range len(prefix) {
		if prefix[i] <= ' ' || prefix[i] > '~' {
			return fmt.Errorf("%s %q has a character that is not visible ASCII", field, prefix)
		}
	}
	return nil
}
