// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package introspection is the RFC 7662 facade: POST /introspect/{namespace}/{policy}.
// A library that introspects keeps working, against us, and gets answers that a policy
// has checked. What active:true means is ours alone to guarantee: no such library checks
// issuer or audience.
package introspection
