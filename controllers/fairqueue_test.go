// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

func fair(t *testing.T) *fairQueue {
	t.Helper()
	q := newFairQueue("test", workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](time.Millisecond, time.Second)).(*fairQueue)
	t.Cleanup(q.ShutDown)
	return q
}

// Whoever has one object waits for few of those of whoever has many, in each way to be queued.
func TestOneTenantsManyDoNotHoldAnothersOne(t *testing.T) {
	for name, add := range map[string]func(*fairQueue, ctrl.Request){
		"added":        (*fairQueue).Add,
		"after":        func(q *fairQueue, r ctrl.Request) { q.AddAfter(r, time.Nanosecond) },
		"rate limited": (*fairQueue).AddRateLimited,
		"with options": func(q *fairQueue, r ctrl.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, r) },
		"at the start": func(q *fairQueue, r ctrl.Request) {
			q.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := fair(t)
			for i := range 1000 {
				add(q, request("many", fmt.Sprint(i)))
			}
			add(q, request("one", "good"))
			for limit := time.Now().Add(patience); q.Len() < 1001; time.Sleep(time.Millisecond) { // until all are due
				if time.Now().After(limit) {
					t.Fatalf("%d are due", q.Len())
				}
			}
			waited := 0
			for {
				item, _, _ := q.GetWithPriority()
				q.Done(item)
				if item.Namespace == "one" {
					break
				}
				waited++
			}
			if waited > 5 {
				t.Errorf("it waited for %d of the other's", waited)
			}
		})
	}
}

// A request keeps the priority that was asked for, however often it comes back; and one that is asked for with
// more gets more.
func TestAPriorityIsKept(t *testing.T) {
	q := fair(t)
	for i := range 100 {
		q.Add(request("shop", fmt.Sprint(i)))
	}
	for range 3 {
		item, priority, _ := q.GetWithPriority()
		if priority != 0 {
			t.Errorf("got priority %d", priority)
		}
		q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true, Priority: &priority}, item)
		q.Done(item)
	}
	r := request("other", "orders")
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, r)
	q.Add(r)
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, r)
	item, priority, _ := q.GetWithPriority()
	if item != r || priority != 0 {
		t.Errorf("got %v with priority %d: an event waits behind a resync", item, priority)
	}
}

// What is done is forgotten.
func TestAFairQueueForgets(t *testing.T) {
	q := fair(t)
	for i := range 10 {
		q.Add(request(fmt.Sprint(i%3), fmt.Sprint(i)))
	}
	for range 10 {
		item, _ := q.Get()
		q.Done(item)
	}
	if len(q.queued) > 0 {
		t.Errorf("it remembers %v", q.queued)
	}
}
