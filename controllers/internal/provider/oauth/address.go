// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// address is where the registration is managed, as we call it. The server names it, and its token goes there: so it must
// be the server's own, and no plain http.
func (s *session) address(op string, st *state) (string, error) {
	u, err := url.Parse(st.URI)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return "", s.astray(op, "it is no address")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return "", s.astray(op, "it is not https")
	case !s.isOurs(u):
		return "", s.astray(op, provider.Clean(u.Scheme+"://"+u.Host)+" is neither the registration endpoint's nor the issuer's")
	}
	return provider.Rebase(st.URI, strings.TrimSuffix(s.config.Issuer, "/"), s.base), nil
}

func (s *session) astray(op, why string) error {
	return &provider.Error{
		Kind: provider.KindInvalid, Op: op, Err: errors.New("the server's registration_client_uri is not used: " + why),
		Advice: "Let the server name itself as its clients call it (it may not know the proxy before it), and delete the client there.",
	}
}

func (s *session) isOurs(u *url.URL) bool {
	for _, ours := range []string{s.registration, s.config.Issuer, s.base} {
		if o, err := url.Parse(ours); err == nil && o.Host != "" && origin(o) == origin(u) {
			return true
		}
	}
	return false
}

func origin(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return strings.ToLower(u.Scheme) + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
