// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Where an API server publishes what its ServiceAccounts' tokens are verified by
// (service account issuer discovery).
const (
	pathIssuer = "/.well-known/openid-configuration"
	pathKeys   = "/openid/v1/jwks"
)

// ClusterKeys fetches the issuer of the cluster's ServiceAccount tokens and its keys
// (RFC 7517), as they stand now. The function is fit for engine.Options.ClusterKeys; it
// asks the API server, so callers' tokens are verified without one TokenReview each.
func ClusterKeys(mgr manager.Manager) (func(ctx context.Context) (issuer string, jwks []byte, err error), error) {
	kube, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making a client for the cluster's keys: %w", err)
	}
	return func(ctx context.Context) (string, []byte, error) { return clusterKeys(ctx, kube.CoreV1().RESTClient()) }, nil
}

func clusterKeys(ctx context.Context, api rest.Interface) (issuer string, jwks []byte, err error) {
	document, err := api.Get().AbsPath(pathIssuer).DoRaw(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("asking the API server for its issuer: %w", err)
	}
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(document, &metadata); err != nil || metadata.Issuer == "" {
		return "", nil, errors.New("the API server names no issuer of ServiceAccount tokens")
	}
	if jwks, err = api.Get().AbsPath(pathKeys).DoRaw(ctx); err != nil {
		return "", nil, fmt.Errorf("asking the API server for its keys: %w", err)
	}
	return metadata.Issuer, jwks, nil
}
