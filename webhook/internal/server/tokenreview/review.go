// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/introspection-dev/introspection-operator/webhook/internal/server"
	"github.com/introspection-dev/introspection-operator/webhook/token"
)

const (
	group   = "authentication.k8s.io/"
	v1      = group + "v1"
	v1beta1 = group + "v1beta1"
	kind    = "TokenReview"
	// maxBody admits a token of token.MaxLength and many audiences, in bytes.
	maxBody = 64 << 10
	// system begins the names that are the cluster's own.
	system = "system:"
)

// question is a TokenReview as it was asked. Both versions have the same fields.
type question struct {
	// version to answer in: as asked, or v1 if that is not known.
	version   string
	token     string
	audiences []string
}

// read reads a TokenReview. Its error holds nothing that was sent.
func read(r *http.Request) (*question, error) {
	q := &question{version: v1}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return q, errors.New("its Content-Type is not application/json")
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(io.LimitReader(r.Body, maxBody+1)); err != nil {
		return q, errors.New("its body can't be read")
	}
	if body.Len() > maxBody {
		return q, fmt.Errorf("it is longer than %d bytes", maxBody)
	}
	var review authenticationv1.TokenReview
	if err := utiljson.Unmarshal(body.Bytes(), &review); err != nil || !utf8.Valid(body.Bytes()) {
		return q, errors.New("it is not JSON of one")
	}
	if review.Kind != kind || review.APIVersion != v1 && review.APIVersion != v1beta1 {
		return q, errors.New("it is not of " + v1 + " or " + v1beta1)
	}
	q.version, q.token, q.audiences = review.APIVersion, review.Spec.Token, review.Spec.Audiences
	return q, nil
}

// untold says that nobody could tell, and where to look. The API server writes it into
// its log.
func untold(u *token.Undecided, id string) *authenticationv1.TokenReviewStatus {
	return &authenticationv1.TokenReviewStatus{
		Error: string(u.Reason) + ": " + u.Message + " (" + server.HeaderDecision + ": " + id + ")",
	}
}

// authenticated is the status of an allow, or what speaks against it: the policy's CEL may
// be wrong, and here is the last line before the cluster.
func (h *Handler) authenticated(r *http.Request, call server.Call, u *token.User, asked []string) *authenticationv1.TokenReviewStatus {
	if u == nil {
		h.write(r, call, token.ReasonInternal, "An allow without a user.", false)
		return untold(server.Internal(nil), call.ID)
	}
	if message := audienceProblem(u.Audiences, asked); message != "" {
		h.write(r, call, token.ReasonAudienceNotAsked, message, false)
		return untold(&token.Undecided{Reason: token.ReasonAudienceNotAsked, Message: message}, call.ID)
	}
	info, ok := h.userInfo(u)
	if !ok {
		h.write(r, call, token.ReasonInvalidUser,
			"The policy's spec.surfaces.tokenReview maps the token to a user or group that is empty, begins with system:, or has control characters.", false)
		return &authenticationv1.TokenReviewStatus{}
	}
	return &authenticationv1.TokenReviewStatus{Authenticated: true, User: *info, Audiences: u.Audiences}
}

// audienceProblem says what is wrong with the audiences of an allow. None at all means
// "valid for the API server" to it (KEP-1205).
func audienceProblem(audiences, asked []string) string {
	if len(audiences) == 0 {
		return "The answer would have no audience: the policy's spec.surfaces.tokenReview.audiences and --api-audiences have none in common."
	}
	for _, audience := range audiences {
		if audience == "" || !slices.Contains(asked, audience) {
			return "The answer would have an audience that was not asked for."
		}
	}
	return ""
}

// userInfo is the user as the API server is told: with the platform's prefixes, and those
// extra facts that it lists.
func (h *Handler) userInfo(u *token.User) (*authenticationv1.UserInfo, bool) {
	username, ok := prefixed(h.config.UsernamePrefix, u.Username)
	if !ok {
		return nil, false
	}
	info := &authenticationv1.UserInfo{Username: username}
	for _, name := range u.Groups {
		name, ok := prefixed(h.config.GroupsPrefix, name)
		if !ok {
			return nil, false
		}
		info.Groups = append(info.Groups, name)
	}
	for _, key := range h.config.ExtraKeys {
		values := u.Extra[key]
		if len(values) == 0 {
			continue
		}
		if !slices.ContainsFunc(values, func(v string) bool { return !plain(v) }) {
			if info.Extra == nil {
				info.Extra = map[string]authenticationv1.ExtraValue{}
			}
			info.Extra[key] = values
			continue
		}
		return nil, false
	}
	return info, true
}

// prefixed is a name behind the platform's prefix. The cluster's own names are refused
// before it and behind it: a token names none, and no prefix and name make one together.
func prefixed(prefix, name string) (string, bool) {
	whole := prefix + name
	if prefix == "" || name == "" || !plain(name) || ofSystem(name) || ofSystem(whole) {
		return "", false
	}
	return whole, true
}

func ofSystem(name string) bool {
	name = strings.TrimSpace(name)
	return len(name) >= len(system) && strings.EqualFold(name[:len(system)], system)
}

// plain says that a text comes out as it went in: JSON makes one and the same character
// of all broken bytes, and the API server hands names on in headers.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// encode is a TokenReview without its question: the token is not sent back.
func encode(version string, status *authenticationv1.TokenReviewStatus) []byte {
	body, err := json.Marshal(authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: kind}, Status: *status,
	})
	if err != nil { // can't be: strings only
		return []byte(`{"apiVersion":"` + version + `","kind":"TokenReview","status":{"error":"internal: The answer could not be written."}}`)
	}
	return body
}
