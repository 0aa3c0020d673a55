// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "net/http"

// Handler is what is served, without the listener.
func (s *Server) Handler() http.Handler { return s.handler }
