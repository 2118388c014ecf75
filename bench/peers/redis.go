package peers

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
)

//go:embed decide.lua
var decideSource string

// The keys of the peers on Redis, in one slot as they would be on a Cluster.
const (
	codeKey     = "p:{bench}:c:"
	subjectsKey = "p:{bench}:subjects"
	attemptsKey = "p:{bench}:attempts"
	journalKey  = "p:{bench}:journal"
)

// evaler runs a loaded script: a client, or its AutoPipeline.
type evaler interface {
	EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd
}

// direct is one script call a request.
type direct struct {
	client *redis.Client
	eval   evaler
	sha    string
}

func newDirect(ctx context.Context, o Options) (Decider, error) {
	// As many connections as requests that wait for one, within reason.
	client := redis.NewClient(&redis.Options{Addr: o.Redis, PoolSize: 256, MinIdleConns: 64, MaxRetries: -1})
	sha, err := SeedRedis(ctx, client, o.Codes)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &direct{client, client, sha}, nil
}

// newAutoPipeline is direct with go-redis' own batching of commands, in the
// settings that it calls best for many callers that wait.
func newAutoPipeline(ctx context.Context, o Options) (Decider, error) {
	client := redis.NewClient(&redis.Options{Addr: o.Redis, MaxRetries: -1})
	sha, err := SeedRedis(ctx, client, o.Codes)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	pipeline, err := client.AutoPipeline()
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &direct{client, pipeline, sha}, nil
}

// SeedRedis writes the codes and loads the script.
func SeedRedis(ctx context.Context, client *redis.Client, codes []Code) (sha string, err error) {
	const chunk = 1000
	for len(codes) > 0 {
		n := min(chunk, len(codes))
		p := client.Pipeline()
		for _, c := range codes[:n] {
			p.HSet(ctx, codeKey+c.Code, "max", c.Uses, "used", 0)
		}
		if _, err := p.Exec(ctx); err != nil {
			return "", fmt.Errorf("seeding: %w", err)
		}
		codes = codes[n:]
	}
	return client.ScriptLoad(ctx, decideSource).Result()
}

func (d *direct) Decide(ctx context.Context, a Ask) (Answer, error) {
	keys := []string{codeKey + a.Code, subjectsKey, attemptsKey, journalKey}
	reply, err := d.eval.EvalSha(ctx, d.sha, keys, a.Code, a.Subject, a.Address, a.ID.String(), perAddress, perSubject).StringSlice()
	if err != nil || len(reply) != 2 {
		return Answer{}, errors.Join(err, errors.New("direct: no decision"))
	}
	switch reply[0] {
	case "admitted":
		return Answer{ID: a.ID}, nil
	case "again":
		id, err := gateway.ParseID(reply[1])
		return Answer{ID: id, Replay: true}, err
	}
	return Answer{Reason: reply[1]}, nil
}

func (d *direct) Count(ctx context.Context) (Counts, error) { return CountRedis(ctx, d.client) }

// CountRedis tells what the script has written.
func CountRedis(ctx context.Context, client *redis.Client) (c Counts, err error) {
	for keys := client.Scan(ctx, 0, codeKey+"*", 10_000).Iterator(); keys.Next(ctx); {
		used, err := client.HGet(ctx, keys.Val(), "used").Int64()
		if err != nil {
			return c, err
		}
		c.Uses += used
	}
	if c.Members, err = client.HLen(ctx, subjectsKey).Result(); err != nil {
		return c, err
	}
	c.Records, err = client.XLen(ctx, journalKey).Result()
	return c, err
}

func (d *direct) Close() { d.client.Close() }

// BenchmarkArguments are the arguments of redis-benchmark that run the script
// for one hot code, each time for another subject.
func BenchmarkArguments(sha, hot string) []string {
	return append([]string{"EVALSHA", sha, "4", codeKey + hot, subjectsKey, attemptsKey, journalKey}, strings.Fields(
		hot+" subject-__rand_int__ 127.0.0.1 018f0000-0000-7000-8000-__rand_int__ 3 10")...)
}
