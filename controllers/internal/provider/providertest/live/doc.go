// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package live is the conformance suite as a program, for any server that the environment names:
// go test -c builds it. See docs/servers/conformance.md.
package live
