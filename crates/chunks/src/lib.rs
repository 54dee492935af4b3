//! Prometheus' chunk encodings: XOR, XOR2, histograms, start timestamps.
