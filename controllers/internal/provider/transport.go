// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Unreachable is the error of a call that got no answer, in words that say what
// to do. A context's error stays in the chain.
func Unreachable(op string, err error) *Error {
	// The client's own error repeats method and URL, which Op and the object say better.
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	if advice := adviceOn(err); advice != "" {
		err = fmt.Errorf("%s (%w)", advice, err)
	} else if quotesPeer(err) {
		err = errNotHTTP
	}
	return &Error{Kind: KindUnreachable, Op: op, Err: err}
}

// errNotHTTP stands for an error that quotes what the server sent: it might have sent our
// own request back, and this one goes into a status.
var errNotHTTP = errors.New("the answer is not HTTP: is this the address of an authorization server?")

// quotesPeer says whether net/http made the error of the server's own words.
func quotesPeer(err error) bool {
	for _, quoting := range []string{"malformed", "transport connection broken", "Location header"} {
		if err != nil && strings.Contains(err.Error(), quoting) {
			return true
		}
	}
	return false
}

func adviceOn(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		plain     tls.RecordHeaderError
		dns       *net.DNSError
	)
	switch {
	case errors.As(err, &authority):
		return "the server's certificate is signed by an unknown authority: name its CA in spec.connection.caBundle"
	case errors.As(err, &name):
		return "the server's certificate is for another name: call the server by a name that is in it, in spec.connection.url"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired or is not yet valid: renew it, or put a clock right"
	case errors.As(err, &invalid):
		return "the server's certificate, or its CA's, is not fit for this: issue another"
	case errors.As(err, &plain), err != nil && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the server does not speak TLS there: is it the port for https?"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host's name is not known: correct it, or the cluster's DNS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: is the server up, and the port right?"
	case errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), timedOut(err):
		return "no answer in time: is the server overloaded, or does a firewall or NetworkPolicy drop the call?"
	}
	return ""
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// RetryAfter is how long an answer asks to wait (RFC 9110 section 10.2.3), at
// most MaxRetryAfter; 0 if it does not ask.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(MaxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), MaxRetryAfter)
	}
	return 0
}
