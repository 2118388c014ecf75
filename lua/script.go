package lua

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

//go:embed *.lua lib/*.lua
var sources embed.FS

// contract is what the Go half of a verb believes of its script. The script's
// head says the same, and contract_test.go compares the two.
type contract struct {
	keys, eachKeys string // slot names, separated by spaces
	args, eachArgs string
	replies        []string // "word slot slot …": the first word of a reply and what follows
}

// script is a verb's Lua half, ready to be sent.
type script struct {
	name     string
	source   string
	editions atomic.Pointer[[]*edition]
	words    []string // first words of its replies
	keys     int
	args     int
	perKeys  int
	contract
}

// declare loads name.lua with the parts of lib that its head asks for. It
// panics when the file is not in the binary, which no test survives.
func declare(name string, c contract) *script {
	source, err := loadSource(name)
	if err != nil {
		panic(err)
	}
	s := &script{
		name: name, source: source, contract: c,
		keys: len(strings.Fields(c.keys)), args: len(strings.Fields(c.args)), perKeys: len(strings.Fields(c.eachKeys)),
	}
	for _, r := range c.replies {
		if word := strings.Fields(r)[0]; word != "each" {
			s.words = append(s.words, word)
		}
	}
	return s
}

func loadSource(name string) (string, error) {
	body, err := sources.ReadFile(name + ".lua")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for l := range strings.Lines(string(body)) {
		uses, ok := strings.CutPrefix(l, "-- uses ")
		if !ok {
			continue
		}
		for _, part := range strings.Fields(uses) {
			lib, err := sources.ReadFile("lib/" + part + ".lua")
			if err != nil {
				return "", err
			}
			b.Write(lib)
		}
	}
	b.Write(body)
	return b.String(), nil
}

// once is a command that go-redis sends at most one time: a script whose reply
// was lost may have run, on Cluster too.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// errUnknownOutcome wraps a failure after which nobody knows whether the
// script ran.
var errUnknownOutcome = errors.New("redis did not answer")

// processor is a client or one connection of it.
type processor interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

// introduction tells for which launch a script is sent, and so on which run of
// a server it may decide. The zero value is for scripts that decide nothing:
// any server is told them.
type introduction struct {
	store  *Store
	launch *launch
}

// admitted is the run that was admitted, "" for any.
func (i introduction) admitted() string {
	if i.launch == nil {
		return ""
	}
	if id := i.launch.identity.Load(); id != nil {
		return *id
	}
	return noIdentity
}

// edition is a script as one run of a server is told it.
type edition struct{ run, source, sha string }

// editionsKept is how many runs a script remembers its editions for.
const editionsKept = 16

// editionFor is the script for a run of a server. The run is part of the text and
// so of the hash: a server that knows the script of another launch, or of a
// time when it was admitted before, does not know this one.
func (s *script) editionFor(run string) *edition {
	known := s.editions.Load()
	if known != nil {
		for _, t := range *known {
			if t.run == run {
				return t
			}
		}
	}
	t := &edition{run: run, source: s.source}
	if run != "" {
		t.source = "-- run " + run + "\n" + s.source
	}
	sum := sha1.Sum([]byte(t.source))
	t.sha = hex.EncodeToString(sum[:])
	list := []*edition{t}
	if known != nil {
		list = append(list, (*known)[:min(len(*known), editionsKept-1)]...)
	}
	s.editions.Store(&list) // who loses a race makes it again
	return t
}

// run sends the script and returns its reply: one of the declared words, then
// what follows. NOSCRIPT means that nothing ran: then the script is sent whole,
// on the connection that the introduction lends where there is one.
func (s *script) run(ctx context.Context, r redis.UniversalClient, introduce introduction, keys []string, args []any) (reply, error) {
	if len(keys) < s.keys || len(args) < s.args || s.perKeys > 0 && (len(keys)-s.keys) != (len(args)-s.args)*s.perKeys {
		return nil, fmt.Errorf("lua: %s called with %d keys and %d arguments", s.name, len(keys), len(args))
	}
	t := s.editionFor(introduce.admitted())
	words, err := s.send(ctx, r, "EVALSHA", t.sha, keys, args)
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		words, err = s.tell(ctx, r, t, introduce, keys, args)
		if errors.Is(err, errStranger) {
			return nil, err
		}
	}
	if err != nil {
		var fromRedis redis.Error
		if errors.As(err, &fromRedis) {
			return nil, fmt.Errorf("lua: %s: %w", s.name, err)
		}
		return nil, fmt.Errorf("lua: %s: %w: %w", s.name, errUnknownOutcome, err)
	}
	if len(words) == 0 || !slices.Contains(s.words, words.word(0)) {
		return nil, fmt.Errorf("lua: %s: malformed reply", s.name)
	}
	return words, nil
}

// tell sends the script whole, which loads it.
func (s *script) tell(ctx context.Context, r redis.UniversalClient, t *edition, introduce introduction, keys []string, args []any) (reply, error) {
	if introduce.launch == nil {
		return s.send(ctx, r, "EVAL", t.source, keys, args)
	}
	conn, err := introduce.lend(ctx, t.run)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return s.send(ctx, conn, "EVAL", t.source, keys, args)
}

func (s *script) send(ctx context.Context, r processor, verb, script string, keys []string, args []any) (reply, error) {
	line := make([]any, 0, 3+len(keys)+len(args))
	line = append(line, verb, script, len(keys))
	for i := range keys {
		line = append(line, &keys[i]) // a string itself would be copied into the interface
	}
	line = append(line, args...)
	cmd := once{redis.NewCmd(ctx, line...)}
	if len(keys) > 0 {
		cmd.SetFirstKeyPos(3)
	}
	if err := r.Process(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Slice()
}

// reply is a script's answer: words and whole numbers, all strings.
type reply []any

func (r reply) word(i int) string {
	if i >= len(r) {
		return ""
	}
	s, _ := r[i].(string)
	return s
}

// items are the answers of a batch, one string for all in the reply: each is a
// line of words.
func (r reply) items() []string {
	const head = 5 // decided seq version persisted now
	if all := r.word(head); all != "" {
		return strings.Split(all, "\n")
	}
	return nil
}

func (r reply) number(i int) uint64 {
	n, _ := strconv.ParseUint(r.word(i), 10, 64)
	return n
}
