// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package env starts the real parts that tests and the demo run against: a
// Kubernetes control plane, Keycloak, nginx, and a certificate authority for
// the run. Everything listens on 127.0.0.1 and is ended by its process id.
package env
