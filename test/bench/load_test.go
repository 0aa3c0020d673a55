// Copyright The introspection-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	connections = 16
	burst       = 4000 // requests of a pair's half
	pairs       = 9
)

func sha256Of(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }

// load writes the same request over kept connections and reads the answers: as
// little of a client as can be, since it runs on the same cores.
type load struct {
	request []byte
	conns   []*tls.Conn
	readers []*bufio.Reader
}

type measured struct{ wall, cpu time.Duration }

func (p *plane) newLoad(b *testing.B, address string, request []byte) *load {
	b.Helper()
	l := &load{request: request}
	for range connections {
		dialer := tls.Dialer{Config: &tls.Config{RootCAs: p.ca.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{*p.client}}}
		c, err := dialer.DialContext(context.Background(), "tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		l.conns = append(l.conns, c.(*tls.Conn))
		l.readers = append(l.readers, bufio.NewReader(c))
	}
	return l
}

func (l *load) run(b *testing.B) measured {
	b.Helper()
	start, cpu := time.Now(), cpuTime(b)
	var group sync.WaitGroup
	for i := range l.conns {
		group.Go(func() {
			for range burst / len(l.conns) {
				if err := l.ask(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return measured{wall: time.Since(start), cpu: cpuTime(b) - cpu}
}

func (l *load) ask(i int) error {
	if _, err := l.conns[i].Write(l.request); err != nil {
		return err
	}
	status, err := l.readers[i].ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answered %s", status)
	}
	length := 0
	for {
		line, err := l.readers[i].ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err := l.readers[i].Discard(length)
			return err
		}
		const header = "content-length: "
		if len(line) > len(header) && bytes.EqualFold(line[:len(header)], []byte(header)) {
			value := line[len(header):]
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
}

// pair compares two loads in interleaved runs.
type pair struct{ ratio, more, rate float64 }

// compare runs both in turn. ratio is of their rates, ours to the other's; more is what a
// request of ours costs more, in microseconds of CPU, the generator's included.
func compare(b *testing.B, ours, bare func(*testing.B) measured, requests int) pair {
	b.Helper()
	for range 2 { // connections, cache, compiler
		bare(b)
		ours(b)
	}
	var ratios, more, rates []float64
	for range pairs {
		p, o := bare(b), ours(b)
		ratios = append(ratios, p.wall.Seconds()/o.wall.Seconds())
		more = append(more, float64((o.cpu-p.cpu).Microseconds())/float64(requests))
		rates = append(rates, float64(requests)/o.wall.Seconds())
	}
	return pair{ratio: median(ratios), more: median(more), rate: median(rates)}
}

func (p pair) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(p.ratio, "ratio")
	b.ReportMetric(p.more, "cpu-us/op-more")
	b.ReportMetric(p.rate, "req/s")
}

// cpuTime is what this process has used, user and system.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
