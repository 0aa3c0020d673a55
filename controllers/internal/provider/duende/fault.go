// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// The error codes of the endpoints.
const (
	errNotFound        = "not_found"
	errInvalidMetadata = "invalid_resource_metadata"
	errInvalidScope    = "invalid_scope"
	errScopeNotAllowed = "scope_not_allowed"
	errNotOwned        = "not_owned"
	errOwnedByOther    = "owned_by_other"
)

const (
	adviceRight   = "Give the operator's client the scope introspection.register."
	adviceFile    = "Is IntrospectionRegistration.cs in the host, and mapped at the path that spec.duende.url names?"
	adviceRefused = "The token endpoint gave the operator a token, and the registration endpoints refuse it: is spec.duende.url the same server, and if that derives its issuer from the request, is spec.connection.hostHeader Issuer?"
)

// absent reports whether the endpoints said that there is no such registration. Any other 404 says
// that the endpoints are not there.
func absent(a *provider.Answer) bool {
	return a != nil && a.Status == http.StatusNotFound && a.Word() == errNotFound
}

// read corrects an error by what the endpoints' answers mean.
func read(a *provider.Answer, e *provider.Error) {
	switch word := a.Word(); a.Status {
	case http.StatusUnauthorized:
		e.Advice = adviceRefused
	case http.StatusForbidden:
		switch {
		case word == errScopeNotAllowed:
			e.Kind = provider.KindInvalid
		case len(a.Body) == 0:
			e.Advice = adviceRight
		}
	case http.StatusNotFound:
		if word != errNotFound {
			e.Kind, e.Advice = provider.KindNotFound, adviceFile
		}
	case http.StatusConflict:
		if word != errNotOwned && word != errOwnedByOther {
			e.Kind = provider.KindServer // two changes at once: look again
		}
	case http.StatusBadRequest:
		if word == errInvalidMetadata && strings.Contains(e.Detail, "is new and has no value") {
			e.Kind, e.Err = provider.KindServer, errors.New("its secrets were changed meanwhile")
		}
	}
}

// advised says what the token endpoint's refusal means.
func advised(err error) error {
	if e, ok := errors.AsType[*provider.Error](err); ok && e.Kind == provider.KindForbidden && e.Advice == "" && e.Status == http.StatusBadRequest {
		e.Advice = adviceRight
	}
	return err
}

// adviseOnScopes names the scopes that a host refuses.
func adviseOnScopes(a *provider.Answer, err error, scopes []string) error {
	e, ok := errors.AsType[*provider.Error](err)
	if !ok || a == nil {
		return err
	}
	words := strings.Fields(e.Detail)
	refused := strings.Join(slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !slices.Contains(words, scope) }), ", ")
	if refused == "" {
		refused = strings.Join(scopes, ", ")
	}
	switch a.Word() {
	case errInvalidScope:
		e.Advice = "The server knows no scope of this name: " + refused + ". Make it there, or take it out of spec.scopes."
	case errScopeNotAllowed:
		e.Advice = "The host lets nobody register these scopes: " + refused + ". Take them out of spec.scopes, or have the host add them to AllowedScopes."
	}
	return err
}

// unsure reports whether a write may have been done in spite of its error, or a look would say more.
func unsure(err error) bool {
	e, ok := errors.AsType[*provider.Error](err)
	return ok && (e.Kind == provider.KindServer || e.Kind == provider.KindUnreachable || e.Kind == provider.KindConflict)
}

// meanwhile is err; a conflict with what is not there, or is ours, is one to try again.
func meanwhile(err error) error {
	if e, ok := errors.AsType[*provider.Error](err); ok && e.Kind == provider.KindConflict {
		e.Kind = provider.KindServer
	}
	return err
}

func status(a *provider.Answer) int {
	if a == nil {
		return 0
	}
	return a.Status
}
