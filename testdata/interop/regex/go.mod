module promparquet/testdata/interop/regex

go 1.26.0

require (
	github.com/grafana/regexp v0.0.0-20250905093917-f7b3be9d1853
	github.com/prometheus/prometheus v0.315.0
)
