package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// redisLog passes what the Redis client says of its connections to the log of
// this process; by itself it would write lines of its own to standard error.
type redisLog struct{ to atomic.Pointer[slog.Logger] }

// clientLog is where all clients of this process say it: they share one.
var clientLog redisLog

func init() { redis.SetLogger(&clientLog) }

// Printf is the client's.
func (r *redisLog) Printf(_ context.Context, format string, values ...any) {
	if log := r.to.Load(); log != nil {
		log.Warn("the Redis client: " + fmt.Sprintf(format, values...))
	}
}
