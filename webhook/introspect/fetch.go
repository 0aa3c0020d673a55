// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package introspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// FetchKeys gets a server's JWKS (RFC 7517) from a URL. hostHeader is sent as Host, for
// servers behind another name; empty for the URL's own. Only 200 is an answer, of at most
// 1 MiB; no redirect is followed, to wherever it leads. Errors hold no word of the answer.
func FetchKeys(client *http.Client, address, hostHeader string) func(context.Context) ([]byte, error) {
	own := *client
	own.CheckRedirect = stay
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
		return read(resp.Body)
	}
}
