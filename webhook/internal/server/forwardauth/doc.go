// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package forwardauth answers gateways: any method on /authorize/{namespace}/{policy}.
// An allow is exactly 200 with every configured header, a refusal 401 or 403 with the
// challenge of RFC 6750, and 503 says that nobody could tell. Never another status:
// nginx makes a 500 of it.
package forwardauth
