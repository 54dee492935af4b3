package main

import (
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"time"
)

// The reference needs tens of GiB for files with tens of thousands of columns: give up before the machine does.
const (
	memoryLimitVariable = "INTEROP_MAX_MEMORY_BYTES"
	defaultMemoryLimit  = 8 << 30
)

// limitMemory ends the process as failed when it holds more memory than allowed.
func limitMemory() error {
	limit := uint64(defaultMemoryLimit)
	if text := os.Getenv(memoryLimitVariable); text != "" {
		var err error
		if limit, err = strconv.ParseUint(text, 10, 64); err != nil {
			return fmt.Errorf("%w: %s: %w", errUsage, memoryLimitVariable, err)
		}
	}
	go func() {
		held := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		for ; ; time.Sleep(50 * time.Millisecond) {
			metrics.Read(held)
			if n := held[0].Value.Uint64() - held[1].Value.Uint64(); n > limit {
				fmt.Printf("FAIL: %d bytes of memory in use, %s allows %d\n", n, memoryLimitVariable, limit)
				os.Exit(1)
			}
		}
	}()
	return nil
}
