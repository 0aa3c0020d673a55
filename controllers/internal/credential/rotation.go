// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"time"

	"github.com/introspection-dev/introspection-operator/controllers/internal/provider"
)

// Rotation is what a record says of the replacement of its credentials: staged, taken into
// use, and the old ones retired.

// Rotating says that a rotation is under way: what is next is staged and not in use.
func (r *Record) Rotating() bool { return !r.StagedAt.IsZero() }

// Overlaps says that what was before still works.
func (r *Record) Overlaps() bool { return r.Previous != nil || r.PreviousFacade != nil }

// InUse is the credential that is good at the server now: during a rotation still the
// current one.
func (r *Record) InUse() Value {
	if r.Rotating() && r.Current != nil {
		return *r.Current
	}
	return r.Active()
}

// Stage begins a rotation. A nil value stays as it is.
func (r *Record) Stage(server, facade *Value, now time.Time) {
	r.Next, r.NextFacade, r.StagedAt = server, facade, now.UTC().Truncate(time.Second)
}

// Abandon ends a rotation that is under way, with nothing of it in use.
func (r *Record) Abandon() { r.NextFacade, r.StagedAt = nil, time.Time{} }

// Promote takes into use what was staged; what was in use before works until ends. overlap
// says whether the server accepts it that long.
func (r *Record) Promote(overlap provider.Overlap, ends time.Time) {
	if r.Next != nil {
		r.Previous = r.Current
		if overlap == provider.OverlapNone {
			r.Previous = nil
		}
		r.Current, r.Next = r.Next, nil
	}
	if r.NextFacade != nil {
		previous := r.Facade
		r.PreviousFacade, r.Facade = &previous, *r.NextFacade
	}
	if r.Overlaps() {
		r.PreviousEnds, r.EndTold = ends.UTC().Truncate(time.Second), r.Previous == nil
	}
	r.Abandon()
}

// Retire forgets what was before.
func (r *Record) Retire() {
	r.Previous, r.PreviousFacade, r.PreviousEnds, r.EndTold = nil, nil, time.Time{}, false
}
