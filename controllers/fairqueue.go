// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"math/bits"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// fairQueue lets no namespace hold another's objects up: the more of a namespace are queued, the
// later its next one's turn. A tenant with thousands of objects that need a look at once, broken
// ones say, waits for himself.
type fairQueue struct {
	priorityqueue.PriorityQueue[ctrl.Request]

	mu sync.Mutex
	// queued are the priorities that were asked for, of all that is in the queue, by namespace.
	queued map[string]map[ctrl.Request]int
}

func newFairQueue(name string, limiter workqueue.TypedRateLimiter[ctrl.Request]) workqueue.TypedRateLimitingInterface[ctrl.Request] {
	return &fairQueue{
		PriorityQueue: priorityqueue.New(name, func(o *priorityqueue.Opts[ctrl.Request]) { o.RateLimiter = limiter }),
		queued:        map[string]map[ctrl.Request]int{},
	}
}

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q *fairQueue) AddWithOpts(o priorityqueue.AddOpts, items ...ctrl.Request) {
	asked := ptr.Deref(o.Priority, 0)
	for _, item := range items {
		o.Priority = new(q.enter(item, asked))
		q.PriorityQueue.AddWithOpts(o, item)
	}
}

// enter is the priority of a request: as asked, less one for each doubling of what its namespace
// has queued. That is less than a resync takes off (handler.LowPriority).
func (q *fairQueue) enter(item ctrl.Request, asked int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	of := q.queued[item.Namespace]
	if of == nil {
		of = map[ctrl.Request]int{}
		q.queued[item.Namespace] = of
	}
	if was, there := of[item]; there {
		asked = max(asked, was)
	}
	of[item] = asked
	return asked - bits.Len(uint(len(of)-1))
}

// GetWithPriority implements priorityqueue.PriorityQueue. The priority is the one that was asked
// for: whoever adds the request again asks for no less.
func (q *fairQueue) GetWithPriority() (item ctrl.Request, priority int, shutdown bool) {
	item, _, shutdown = q.PriorityQueue.GetWithPriority()
	q.mu.Lock()
	defer q.mu.Unlock()
	of := q.queued[item.Namespace]
	priority = of[item]
	if delete(of, item); len(of) == 0 {
		delete(q.queued, item.Namespace)
	}
	return item, priority, shutdown
}

// Get implements workqueue.TypedInterface.
func (q *fairQueue) Get() (item ctrl.Request, shutdown bool) {
	item, _, shutdown = q.GetWithPriority()
	return item, shutdown
}

// Add implements workqueue.TypedInterface.
func (q *fairQueue) Add(item ctrl.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, item) }

// AddAfter implements workqueue.TypedDelayingInterface.
func (q *fairQueue) AddAfter(item ctrl.Request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, item)
}

// AddRateLimited implements workqueue.TypedRateLimitingInterface.
func (q *fairQueue) AddRateLimited(item ctrl.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, item)
}
