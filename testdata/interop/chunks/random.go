package main

// random is SplitMix64: small enough to be written again in the Rust benchmark, which must make the same samples.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns an integer in [0, n).
func (r *random) below(n int64) int64 {
	return int64(r.next() % uint64(n))
}

// between returns an integer in [low, high].
func (r *random) between(low, high int64) int64 {
	return low + r.below(high-low+1)
}
