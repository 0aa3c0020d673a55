// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures what the product costs, each as a ratio within one run:
// machines are noisy. `make bench` runs it.
package bench
