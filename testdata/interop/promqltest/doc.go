// Package promqltest runs test scripts of PromQL with Prometheus' own engine and storage, writes Prometheus' answers into
// scripts, and makes scripts at random. All of it are tests, because Prometheus runs scripts in tests only.
package promqltest
