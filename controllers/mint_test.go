// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

const mintAudience = "https://sso.example.com/realms/acme"

// minting is a mint at the real API server, whose calls are counted and may be made to fail.
func minting(t *testing.T) (m *mint, namespace string, clock *clocktesting.FakePassiveClock, calls *atomic.Int32, away *atomic.Bool) {
	t.Helper()
	w := newWorld(t)
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.config.WebhookNamespace, Name: "client-1"}})
	kube, err := client.NewWithWatch(plane.Config(), client.Options{Scheme: w.kube.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	calls, away = &atomic.Int32{}, &atomic.Bool{}
	counted := interceptor.NewClient(kube, interceptor.Funcs{
		SubResourceCreate: func(ctx context.Context, c client.Client, subresource string, o, sub client.Object, opts ...client.SubResourceCreateOption) error {
			calls.Add(1)
			if away.Load() {
				return errors.New("the API server is away")
			}
			return c.SubResource(subresource).Create(ctx, o, sub, opts...)
		},
	})
	clock = clocktesting.NewFakePassiveClock(time.Now())
	return newMint(counted, clock), w.config.WebhookNamespace, clock, calls, away
}

func minted1(t *testing.T, m *mint, namespace string) provider.Secret {
	t.Helper()
	token, err := m.token(t.Context(), namespace, "client-1", mintAudience)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestMintedTokensAreForOneAudience(t *testing.T) {
	m, namespace, _, _, _ := minting(t)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(minted1(t, m, namespace).Reveal(), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Audience []string `json:"aud"`
		Subject  string   `json:"sub"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if len(claims.Audience) != 1 || claims.Audience[0] != mintAudience || claims.Subject != "system:serviceaccount:"+namespace+":client-1" {
		t.Errorf("it says %+v", claims)
	}
}

func TestMintedTokensAreKeptForHalfTheirLife(t *testing.T) {
	m, namespace, clock, calls, _ := minting(t)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { _, _ = m.token(t.Context(), namespace, "client-1", mintAudience) })
	}
	all.Wait()
	first := minted1(t, m, namespace)
	if n := calls.Load(); n != 1 {
		t.Errorf("17 questions took %d calls", n)
	}
	clock.SetTime(clock.Now().Add(mintLife/2 - time.Minute))
	if minted1(t, m, namespace) != first {
		t.Error("it was renewed before half its life")
	}
	clock.SetTime(clock.Now().Add(2 * time.Minute))
	if minted1(t, m, namespace) != first {
		t.Error("a caller waited for the renewal of a token that lives")
	}
	for until := time.Now().Add(patience); calls.Load() < 2 || minted1(t, m, namespace) == first; {
		if time.Now().After(until) {
			t.Fatalf("past half its life it was not renewed: %d calls", calls.Load())
		}
		time.Sleep(time.Millisecond)
	}
}

// The API server may be away: what was made before is good until its end.
func TestMintOutlivesTheAPIServer(t *testing.T) {
	m, namespace, clock, _, away := minting(t)
	first := minted1(t, m, namespace)
	away.Store(true)
	clock.SetTime(clock.Now().Add(mintLife * 3 / 4))
	if minted1(t, m, namespace) != first {
		t.Error("another token, and nobody to make it")
	}
	clock.SetTime(clock.Now().Add(mintLife))
	if token, err := m.token(t.Context(), namespace, "client-1", mintAudience); err == nil {
		t.Errorf("a token past its end was given out (%d characters)", len(token))
	}
}
