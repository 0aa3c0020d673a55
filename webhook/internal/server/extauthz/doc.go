// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package extauthz answers Envoy's external authorization over gRPC
// (envoy.service.auth.v3.Authorization/Check). An allow is OK with every configured
// header, a refusal a denied response with the challenge of RFC 6750, and 503 says that
// nobody could tell.
//
// The zero CheckResponse is an allow, and so is one with an empty status (measured). So
// every path ends in an answer that was made on purpose: a panic, a message that can't be
// read and an answer that can't be written are denied. What grpc-go answers itself (no
// message, one that is too large, another method) is an error of gRPC, which Envoy turns
// into status_on_error, and into an allow only if failure_mode_allow is set.
package extauthz
