package main

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// report collects the differences that a judge found; it keeps the text of the first few.
type report struct {
	mu    sync.Mutex
	limit int
	first []string
	total int
}

func newReport(limit int) *report { return &report{limit: limit} }

func (r *report) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if len(r.first) < r.limit {
		r.first = append(r.first, fmt.Sprintf(format, args...))
	}
}

// guard runs one check and turns a panic inside the reference libraries into a finding.
func (r *report) guard(what string, check func() error) {
	defer func() {
		if p := recover(); p != nil {
			r.fail("%s: panic: %v\n%s", what, p, debug.Stack())
		}
	}()
	if err := check(); err != nil {
		r.fail("%s: %v", what, err)
	}
}

func (r *report) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total == 0 {
		return nil
	}
	text := fmt.Sprintf("%d differences", r.total)
	for _, line := range r.first {
		text += "\n  " + line
	}
	if r.total > len(r.first) {
		text += fmt.Sprintf("\n  … and %d more", r.total-len(r.first))
	}
	return fmt.Errorf("%s", text)
}
