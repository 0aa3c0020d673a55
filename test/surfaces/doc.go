// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package surfaces asks the whole data plane over all of its protocols, and holds them to
// one answer: what a token is good for does not depend on who asks.
package surfaces
