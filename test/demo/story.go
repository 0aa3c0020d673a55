// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// progressInterval is how often a long step says that it is still at work.
const progressInterval = 10 * time.Second

// story tells what happens, and counts what holds.
type story struct {
	out   io.Writer
	bold  bool
	clock clock.WithTicker
	began time.Time

	mu             sync.Mutex
	told           bytes.Buffer // looked through for secrets at the end
	passed, failed int
}

func newStory(out io.Writer, bold bool) *story {
	s := &story{out: out, bold: bold, clock: clock.RealClock{}}
	s.began = s.clock.Now()
	return s
}

func (s *story) tell(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told.WriteString(text)
	_, _ = io.WriteString(s.out, text) // a terminal that is gone must not end the clean-up
}

func (s *story) heading(text string) {
	if s.bold {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	s.tell("\n" + text + "\n")
}

// say is prose, for the reader, in lines that a terminal has.
func (s *story) say(format string, args ...any) {
	line := ""
	for word := range strings.SplitSeq(fmt.Sprintf(format, args...), " ") {
		if line != "" && len(line)+1+len(word) > wide {
			s.tell(" " + line + "\n")
			line = ""
		}
		line += " " + word
	}
	s.tell(" " + line + "\n")
}

// command is what a user would type.
func (s *story) command(line string) {
	s.tell("\n  $ " + line + "\n")
}

// output is what came of it.
func (s *story) output(text string) {
	text = strings.TrimRight(strings.ReplaceAll(text, "\r", ""), "\n")
	if text == "" {
		return
	}
	s.tell("    " + strings.ReplaceAll(text, "\n", "\n    ") + "\n")
}

// check counts whether what holds. If it does not, got says what there is instead.
func (s *story) check(ok bool, what, got string) {
	s.mu.Lock()
	if ok {
		s.passed++
	} else {
		s.failed++
	}
	s.mu.Unlock()
	if ok {
		s.tell("  ✓ " + what + "\n")
		return
	}
	s.tell("  ✗ expected: " + what + "\n")
	s.output("got: " + got)
}

// during says how long a part takes, and that it goes on.
func (s *story) during(what string, part func() error) error {
	began := s.clock.Now()
	done := make(chan struct{})
	told := make(chan struct{})
	tick := s.clock.NewTicker(progressInterval)
	go func() {
		defer close(told)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C():
				s.say("… %s: %.0f s", what, s.clock.Since(began).Seconds())
			}
		}
	}()
	err := part()
	close(done)
	<-told
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	s.say("%s: %.1f s", what, s.clock.Since(began).Seconds())
	return nil
}

// summary is the last line, and whether all went well.
func (s *story) summary() bool {
	s.tell(fmt.Sprintf("\nIt took %.0f s.\n%d passed, %d failed\n", s.clock.Since(s.began).Seconds(), s.passed, s.failed))
	return s.failed == 0 && s.passed > 0
}

// said is everything that was told.
func (s *story) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told.String()
}
