// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenreview answers the API server: POST of an authentication.k8s.io TokenReview,
// v1 or v1beta1, to /tokenreview/{namespace}/{policy}. What nobody could tell is a 200
// with status.error, which the API server neither caches nor repeats: it asks five times
// after a 500, and for half a minute after a Retry-After (measured). An allow always has
// audiences: without, the API server takes a token for one of its own.
package tokenreview
