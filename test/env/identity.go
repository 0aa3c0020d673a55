// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package env

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLife outlives any run.
const tokenLife = 24 * time.Hour

// WriteKubeconfig writes cfg as a kubeconfig only its owner may read.
func (cp *ControlPlane) WriteKubeconfig(path string, cfg *rest.Config) error {
	const name = "introspection-operator"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{
		Token:                 cfg.BearerToken,
		ClientCertificateData: cfg.CertData,
		ClientKeyData:         cfg.KeyData,
	}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	data, err := clientcmd.Write(*kubeconfig)
	if err != nil {
		return fmt.Errorf("encoding the kubeconfig: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making room for the kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// ServiceAccountConfig signs in as a service account, with a token for a day
// and nothing else: it may do what RBAC grants it. Namespace and account are
// made if they are absent.
func (cp *ControlPlane) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	clients, err := kubernetes.NewForConfig(cp.config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := clients.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating namespace %s: %w", namespace, err)
	}
	accounts := clients.CoreV1().ServiceAccounts(namespace)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := accounts.Create(ctx, account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating service account %s/%s: %w", namespace, name, err)
	}
	seconds := int64(tokenLife / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	request, err = accounts.CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("minting a token of %s/%s: %w", namespace, name, err)
	}
	return &rest.Config{
		Host:            cp.config.Host,
		TLSClientConfig: rest.TLSClientConfig{CAData: cp.config.CAData},
		BearerToken:     request.Status.Token,
	}, nil
}

// findKubectl prefers the user's own kubectl, within the skew that Kubernetes
// supports: one minor version.
func (cp *ControlPlane) findKubectl(ctx context.Context, assets, dir string) (string, error) {
	cached := filepath.Join(assets, "kubectl")
	own, err := exec.LookPath("kubectl")
	if err != nil {
		return cached, nil //nolint:nilerr // no kubectl on PATH is what the cached one is for
	}
	kubeconfig := filepath.Join(dir, "admin.kubeconfig")
	if err := cp.WriteKubeconfig(kubeconfig, cp.config); err != nil {
		return "", err
	}
	if err := supportsServer(ctx, own, kubeconfig); err != nil {
		return cached, nil //nolint:nilerr // neither is one that does not fit
	}
	return own, nil
}

func supportsServer(ctx context.Context, kubectl, kubeconfig string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, kubectl, "--kubeconfig", kubeconfig, "version", "--output=json").Output()
	if err != nil {
		return fmt.Errorf("asking kubectl for its version: %w", err)
	}
	var versions struct {
		Client struct {
			Minor string `json:"minor"`
		} `json:"clientVersion"`
		Server struct {
			Minor string `json:"minor"`
		} `json:"serverVersion"`
	}
	if err := json.Unmarshal(out, &versions); err != nil {
		return fmt.Errorf("reading kubectl's version: %w", err)
	}
	client, err := strconv.Atoi(strings.TrimSuffix(versions.Client.Minor, "+"))
	if err != nil {
		return fmt.Errorf("reading kubectl's version: %w", err)
	}
	server, err := strconv.Atoi(strings.TrimSuffix(versions.Server.Minor, "+"))
	if err != nil {
		return fmt.Errorf("reading the server's version: %w", err)
	}
	if skew := client - server; skew < -1 || skew > 1 {
		return errors.New("kubectl is too far from the server's version")
	}
	return nil
}
