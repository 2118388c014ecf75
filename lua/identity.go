package lua

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A server is who it is for one run: a restart, a promoted replica or another
// server at the same address has another run id. Asking for it with every call
// would cost; instead the scripts themselves are the admission. A server keeps
// loaded scripts for one run only and hands them to no replica. So a script is
// loaded only into a server that is admitted, and a server that does not know
// it (NOSCRIPT) has to be looked at before anything is decided there. The run
// that was admitted is part of the script's text: a server that was admitted
// for another launch, or once before, does not know it either.

// errStranger says that the server is not the admitted one.
var errStranger = errors.New("lua: this run of the server is not admitted")

// noIdentity is the run id of a server that tells none (miniredis).
const noIdentity = "none"

// pin takes a connection to the server that holds a key: what is asked on it
// is asked of one run of one server.
func (s *Store) pin(ctx context.Context, key string) (*redis.Conn, error) {
	switch client := s.redis.(type) {
	case *redis.Client:
		return client.Conn(), nil
	case *redis.ClusterClient:
		node, err := client.MasterForKey(ctx, key)
		if err != nil {
			return nil, err
		}
		return node.Conn(), nil
	}
	return nil, fmt.Errorf("lua: a client of type %T has no connections", s.redis)
}

func runID(ctx context.Context, conn *redis.Conn) (string, error) {
	id, err := info(ctx, conn, "server", "run_id")
	if err == nil && id == "" {
		id = noIdentity
	}
	return id, err
}

// info is one field of INFO; "" where the server does not tell it.
func info(ctx context.Context, conn *redis.Conn, section, field string) (string, error) {
	text, err := conn.Info(ctx, section).Result()
	if err != nil && (redis.HasErrorPrefix(err, "ERR") || redis.HasErrorPrefix(err, "section")) {
		return "", nil // it has no such section (miniredis); who may not ask (NOPERM) must not pass for it
	}
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", nil
}

// errReplica says that a server cannot decide: it follows another.
var errReplica = errors.New("lua: this server is a replica")

// Identity is the run id of the server that holds a launch now. It returns
// unavailable while that is a replica, or a node of a Cluster that has given the
// launch away: there is nothing to let in or to heal, and a new epoch would only
// close the launch where it is.
func (s *Store) Identity(ctx context.Context, name string) (string, error) {
	meta := newKeys(name).meta
	conn, err := s.pin(ctx, meta)
	if err != nil {
		return "", s.outage(err)
	}
	defer conn.Close()
	if err := conn.Exists(ctx, meta).Err(); err != nil {
		if cluster, ok := s.redis.(*redis.ClusterClient); ok {
			cluster.ReloadState(ctx) // MOVED: whom the client asks is not who holds it
		}
		return "", s.outage(err)
	}
	role, err := info(ctx, conn, "replication", "role")
	if err == nil && role == "slave" {
		err = errReplica
	}
	if err != nil {
		return "", s.outage(err)
	}
	id, err := runID(ctx, conn)
	if err != nil {
		return "", s.outage(err)
	}
	return id, nil
}

// introduce is the introduction of scripts that decide for a launch.
func (s *Store) introduce(l *launch) introduction { return introduction{s, l} }

// lend takes a connection to the server that holds the launch, if it is this
// run: what is told on the connection is told to it. It returns errStranger if
// it is another.
func (i introduction) lend(ctx context.Context, run string) (*redis.Conn, error) {
	conn, err := i.store.pin(ctx, i.launch.meta)
	if err != nil {
		return nil, err
	}
	id, err := runID(ctx, conn)
	if err == nil && id == run {
		return conn, nil
	}
	conn.Close()
	if err == nil {
		err = errStranger
	}
	return nil, err
}
