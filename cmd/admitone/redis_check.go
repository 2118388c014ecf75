package main

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// unsafeSettings lists settings of Redis with which it may lose what it
// decided. A Redis that does not tell its settings is not blamed.
func unsafeSettings(ctx context.Context, r redis.UniversalClient) []string {
	var list []string
	if v, err := r.ConfigGet(ctx, "maxmemory-policy").Result(); err == nil && v["maxmemory-policy"] != "" && v["maxmemory-policy"] != "noeviction" {
		list = append(list, "maxmemory-policy is "+v["maxmemory-policy"]+": it may throw codes away; set noeviction")
	}
	if v, err := r.ConfigGet(ctx, "appendonly").Result(); err == nil && v["appendonly"] == "no" {
		list = append(list, "appendonly is no: a restart forgets what Postgres does not hold yet; set appendonly yes")
	}
	return list
}

// evicts reports whether Redis throws keys away when it is full: then it must
// not be served at all.
func evicts(ctx context.Context, r redis.UniversalClient) bool {
	v, err := r.ConfigGet(ctx, "maxmemory-policy").Result()
	return err == nil && v["maxmemory-policy"] != "" && v["maxmemory-policy"] != "noeviction"
}
