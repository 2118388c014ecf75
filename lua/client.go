package lua

import (
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// NewClient makes a client as a Store wants it. go-redis' maintenance
// notifications are off: of the servers that we support none sends them, and
// their handshake races with itself when single connections are taken out of
// the pool (go-redis 9.23, redis.go: initConn).
func NewClient(o *redis.UniversalOptions) redis.UniversalClient {
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewUniversalClient(o)
}
