// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server is what the surfaces of the data plane have in common: a TLS listener
// with limits that drains, routing by raw segments, who calls, and the record of what
// was refused before anybody was asked. It holds no policy.
package server
