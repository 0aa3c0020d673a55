// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package duende

import (
	"maps"
	"slices"
	"time"
)

func (r *Resource) clone() *Resource {
	c := *r
	c.Scopes, c.Secrets, c.Properties = slices.Clone(r.Scopes), slices.Clone(r.Secrets), maps.Clone(r.Properties)
	if c.Properties == nil {
		c.Properties = map[string]string{}
	}
	return &c
}

func (r *Resource) has(scope string) bool { return slices.Contains(r.Scopes, scope) }

// find looks into the database; nil if there is none.
func (s *Server) find(name string) *Resource { return named(s.rows, name) }

func named(rows []*Resource, name string) *Resource {
	for _, r := range rows {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// keep adds or replaces a row; a snapshot goes on with the old one.
func (s *Server) keep(r *Resource) {
	for i, row := range s.rows {
		if row.Name == r.Name {
			s.rows[i] = r
			return
		}
	}
	s.rows = append(s.rows, r)
}

func (s *Server) drop(name string) {
	s.rows = slices.DeleteFunc(s.rows, func(r *Resource) bool { return r.Name == name })
}

// resources are those that tokens and introspection go by: with a cache, all of them as they were
// when the snapshot was taken, new ones too.
func (s *Server) resources() []*Resource {
	if s.o.PropagationSeconds == 0 {
		return s.rows
	}
	if now := s.o.Now(); s.snapshot == nil || !now.Before(s.until) {
		s.snapshot = append([]*Resource{}, s.rows...)
		s.until = now.Add(time.Duration(s.o.PropagationSeconds) * time.Second)
	}
	return s.snapshot
}
