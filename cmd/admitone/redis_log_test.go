package main

import (
	"log/slog"
	"strings"
	"testing"
)

// TestRedisLog: what the Redis client says is a line of the log like others.
func TestRedisLog(t *testing.T) {
	var out strings.Builder
	var log redisLog
	log.Printf(t.Context(), "nobody listens yet")
	log.to.Store(slog.New(slog.NewJSONHandler(&out, nil)))
	log.Printf(t.Context(), "failed to dial after %d attempts", 5)
	if line := out.String(); !strings.Contains(line, `"level":"WARN","msg":"the Redis client: failed to dial after 5 attempts"`) || strings.Count(line, "\n") != 1 {
		t.Error(line)
	}
}
