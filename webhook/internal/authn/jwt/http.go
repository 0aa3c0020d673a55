// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

var (
	errLarge   = fmt.Errorf("the JWKS is larger than %d MiB", maxDocument>>20)
	errNotHTTP = errors.New("the answer is not HTTP")
)

// HTTPKeys fetches a JWKS by GET from a URL. hostHeader is sent as Host, for servers behind
// another name; empty for the URL's own. Only 200 is an answer, of at most 1 MiB; no
// redirect is followed, to wherever it leads. Errors hold no word of the answer.
func HTTPKeys(client *http.Client, address, hostHeader string) KeysFunc {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return nil, errors.New("the address of the keys is not a URL")
		}
		req.Header.Set("Accept", "application/json")
		req.Host = hostHeader
		resp, err := own.Do(req)
		if err != nil {
			return nil, transportError(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("HTTP %d", resp.StatusCode)
		}
		var document bytes.Buffer
		n, err := io.Copy(&document, io.LimitReader(resp.Body, maxDocument+1))
		switch {
		case err != nil:
			return nil, fmt.Errorf("reading the JWKS: %w", transportError(err))
		case n > maxDocument:
			return nil, errLarge
		}
		return document.Bytes(), nil
	}
}

// transportError is an error of net/http without the peer's words.
func transportError(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // it repeats method and URL
	}
	for _, quoting := range []string{"malformed", "transport connection broken", "Location header"} {
		if strings.Contains(err.Error(), quoting) {
			return errNotHTTP
		}
	}
	return err
}
