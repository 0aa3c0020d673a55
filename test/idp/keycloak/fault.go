// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package keycloak

import (
	"net/http"
	"strings"

	"github.com/introspection-dev/introspection-operator/test/idp/fault"
)

// Fault is what goes wrong with the calls that match.
type Fault = fault.Fault

// Call is one request and how it was answered.
type Call = fault.Call

// HTML is a body as proxies give.
const HTML = fault.HTML

// Matching matches a method, or any if it is empty, and a part of the path.
func Matching(method, part string) func(Call) bool { return fault.Matching(method, part) }

// IsWrite reports whether a call changes something by the Admin API.
func IsWrite(c Call) bool { return c.Method != http.MethodGet && isAdmin(c.Path) }

func isAdmin(path string) bool { return strings.HasPrefix(path, "/admin/") }
