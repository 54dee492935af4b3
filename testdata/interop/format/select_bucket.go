package main

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/thanos-io/objstore"
)

// traffic is what a bucket was asked for.
type traffic struct {
	Requests int   `json:"requests"`
	Bytes    int64 `json:"bytes"`
	// Rounds is the longest chain of requests of which each began after the one before it had ended.
	Rounds int     `json:"rounds"`
	MS     float64 `json:"ms"`
}

// countingBucket counts what is read, and lets every request wait.
type countingBucket struct {
	objstore.BucketReader
	latency time.Duration

	mu   sync.Mutex
	seen traffic
}

func newCountingBucket(inner objstore.BucketReader, latency time.Duration) *countingBucket {
	return &countingBucket{BucketReader: inner, latency: latency}
}

// take gives what was seen since the last time.
func (b *countingBucket) take(elapsed time.Duration) traffic {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen
	seen.MS = milliseconds(elapsed)
	b.seen = traffic{}
	return seen
}

// request counts a request and waits.
func (b *countingBucket) request() {
	b.mu.Lock()
	b.seen.Requests++
	round := b.seen.Rounds + 1
	b.mu.Unlock()
	if b.latency > 0 {
		time.Sleep(b.latency)
	}
	b.mu.Lock()
	b.seen.Rounds = max(b.seen.Rounds, round)
	b.mu.Unlock()
}

func (b *countingBucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	b.request()
	return b.count(b.BucketReader.Get(ctx, name))
}

func (b *countingBucket) GetRange(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	b.request()
	return b.count(b.BucketReader.GetRange(ctx, name, off, length))
}

func (b *countingBucket) Attributes(ctx context.Context, name string) (objstore.ObjectAttributes, error) {
	b.request()
	return b.BucketReader.Attributes(ctx, name)
}

func (b *countingBucket) Exists(ctx context.Context, name string) (bool, error) {
	b.request()
	return b.BucketReader.Exists(ctx, name)
}

func (b *countingBucket) count(body io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return &countingBody{body, b}, nil
}

type countingBody struct {
	io.ReadCloser
	bucket *countingBucket
}

func (c *countingBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bucket.mu.Lock()
	c.bucket.seen.Bytes += int64(n)
	c.bucket.mu.Unlock()
	return n, err
}
