// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import "strings"

// location is a URL as `htu` is compared: without query and fragment (RFC 9449 section
// 4.3), scheme and host in lower case, no default port, an empty path as a slash (RFC 3986
// sections 6.2.2.1 and 6.2.3). The path is compared byte for byte: what %2f or a dot
// segment means is between the gateway and the API, and a proof for what we make of it
// would be one for something else. Clients sign the URL that they send.
type location struct{ origin, path string }

// locate reads an absolute URL.
func locate(raw string) (location, bool) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return location{}, false
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	authority, path := rest, "/"
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		authority, path = rest[:slash], rest[slash:]
	}
	if authority == "" {
		return location{}, false
	}
	scheme, authority = strings.ToLower(scheme), strings.ToLower(authority)
	authority = strings.TrimSuffix(authority, ":")
	switch scheme {
	case "https":
		authority = strings.TrimSuffix(authority, ":443")
	case "http":
		authority = strings.TrimSuffix(authority, ":80")
	default:
		return location{}, false
	}
	return location{origin: scheme + "://" + authority, path: path}, true
}

// under is where a request's target (RFC 9112 section 3.2.1) is at the resource. The
// resource's own path is what a gateway took off before; its last slash is the target's
// first. A target has no fragment: a # in one is part of a path that no htu can name.
func (l location) under(target string) (location, bool) {
	path, _, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		return location{}, false
	}
	return location{origin: l.origin, path: strings.TrimSuffix(l.path, "/") + path}, true
}
