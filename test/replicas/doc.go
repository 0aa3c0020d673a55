// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package replicas holds tests of several webhook replicas on real parts: a control plane, a
// Keycloak behind a proxy that fails on cue, the built program, and callers of all surfaces.
package replicas
