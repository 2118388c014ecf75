package lua

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	luaast "github.com/yuin/gopher-lua/ast"
	luaparse "github.com/yuin/gopher-lua/parse"

	"admitone/gateway"
)

// declared are all verbs of the package, by what their Go halves declare.
func declared(t *testing.T) map[string]*script {
	t.Helper()
	verbs := map[string]*script{}
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "declare" {
				c := literal(t, call.Args[1]).(map[string]any)
				name := literal(t, call.Args[0]).(string)
				verbs[name] = declare(name, contract{
					keys: text(c["keys"]), eachKeys: text(c["eachKeys"]), args: text(c["args"]), eachArgs: text(c["eachArgs"]),
					replies: c["replies"].([]string),
				})
			}
			return true
		})
	}
	return verbs
}

func text(v any) string { s, _ := v.(string); return s }

func literal(t *testing.T, e ast.Expr) any {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		return s
	case *ast.CompositeLit:
		if _, ok := e.Type.(*ast.ArrayType); ok {
			var list []string
			for _, el := range e.Elts {
				list = append(list, literal(t, el).(string))
			}
			return list
		}
		fields := map[string]any{}
		for _, el := range e.Elts {
			kv := el.(*ast.KeyValueExpr)
			fields[kv.Key.(*ast.Ident).Name] = literal(t, kv.Value)
		}
		return fields
	}
	t.Fatalf("declare: an argument is not a literal: %T", e)
	return nil
}

// head is what a script's comment says of itself.
func head(source string) contract {
	var c contract
	for line := range strings.Lines(source) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "-- KEYS each "):
			c.eachKeys = line[len("-- KEYS each "):]
		case strings.HasPrefix(line, "-- KEYS "):
			c.keys = line[len("-- KEYS "):]
		case strings.HasPrefix(line, "-- ARGV each "):
			c.eachArgs = line[len("-- ARGV each "):]
		case strings.HasPrefix(line, "-- ARGV "):
			c.args = line[len("-- ARGV "):]
		case strings.HasPrefix(line, "-- REPLY "):
			c.replies = append(c.replies, line[len("-- REPLY "):])
		}
	}
	return c
}

func scripts(t *testing.T) map[string]string {
	t.Helper()
	names, err := fs.Glob(sources, "*.lua")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, n := range names {
		body, err := sources.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimSuffix(n, ".lua")] = string(body)
	}
	return found
}

// TestContract holds every script and its Go half to the same contract: the
// slots by name and order, each bound once and read, and the replies.
func TestContract(t *testing.T) {
	verbs := declared(t)
	for name, source := range scripts(t) {
		t.Run(name, func(t *testing.T) {
			verb := verbs[name]
			if verb == nil {
				t.Fatalf("%s.lua has no Go half that declares it", name)
			}
			for _, problem := range checkContract(verb.contract, source) {
				t.Error(problem)
			}
		})
	}
	for name := range verbs {
		if _, ok := scripts(t)[name]; !ok {
			t.Errorf("%s is declared in Go and has no script", name)
		}
	}
}

func checkContract(c contract, source string) (problems []string) {
	complain := func(format string, a ...any) { problems = append(problems, fmt.Sprintf(format, a...)) }
	h := head(source)
	for _, side := range []struct{ what, lua, goes string }{
		{"KEYS", h.keys, c.keys},
		{"KEYS each", h.eachKeys, c.eachKeys},
		{"ARGV", h.args, c.args},
		{"ARGV each", h.eachArgs, c.eachArgs},
		{"REPLY", strings.Join(h.replies, "\n"), strings.Join(c.replies, "\n")},
	} {
		if side.lua != side.goes {
			complain("%s: the script's head says %q, the Go half %q", side.what, side.lua, side.goes)
		}
	}
	code := withoutComments(source)
	for _, slots := range []struct{ table, names string }{{"KEYS", c.keys}, {"ARGV", c.args}} {
		for i, name := range strings.Fields(slots.names) {
			bound := boundTo(code, slots.table, i+1)
			if bound != name {
				complain("%s[%d] is bound to %q, the contract calls it %q", slots.table, i+1, bound, name)
			}
			if len(regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`\b`).FindAllString(code, -1)) < 2 {
				complain("%s is bound and never read", name)
			}
		}
		if n := len(regexp.MustCompile(slots.table+`\[\d+\]`).FindAllString(code, -1)); n != len(strings.Fields(slots.names)) {
			complain("%s is read by number %d times for %d slots", slots.table, n, len(strings.Fields(slots.names)))
		}
	}
	for _, name := range append(strings.Fields(c.eachKeys), strings.Fields(c.eachArgs)...) {
		if len(regexp.MustCompile(`\b`+name+`\b`).FindAllString(code, -1)) < 1 {
			complain("the slot %s of each item is never read", name)
		}
	}
	said := words(code)
	var promised []string
	for _, r := range c.replies {
		fields := strings.Fields(r)
		if fields[0] == "each" {
			fields = fields[1:]
		}
		promised = append(promised, fields[0])
	}
	for _, w := range promised {
		if w != "breach" && w != "refused" && !slices.Contains(said, w) {
			complain("the reply %q is promised and never given", w)
		}
	}
	for _, w := range said {
		if !slices.Contains(promised, w) {
			complain("the reply %q is given and not promised", w)
		}
	}
	return problems
}

var comment = regexp.MustCompile(`(?m)^\s*--.*$`)

func withoutComments(source string) string { return comment.ReplaceAllString(source, "") }

// boundTo is the local that a line "local a, b = KEYS[1], KEYS[2]" (over one
// line or two) gives slot n.
func boundTo(code, table string, n int) string {
	binding := regexp.MustCompile(`local ([\w, ]+?) =\s+((?:` + table + `\[\d+\](?:, )?)+)`)
	for _, m := range binding.FindAllStringSubmatch(code, -1) {
		names, slots := strings.Split(m[1], ", "), strings.Split(m[2], ", ")
		if len(names) != len(slots) {
			return fmt.Sprintf("%d names for %d slots", len(names), len(slots))
		}
		if i := slices.Index(slots, fmt.Sprintf("%s[%d]", table, n)); i >= 0 {
			return names[i]
		}
	}
	return ""
}

// words are the first words of all replies: answer('word', …), line('word', …)
// and return {'word', …}.
func words(code string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?:answer\(|line\(|return \{|local reply = \{)'(\w+)'`).FindAllStringSubmatch(code, -1) {
		list = append(list, m[1])
	}
	return list
}

// TestContractCatches breaks the contract in every way it guards against.
func TestContractCatches(t *testing.T) {
	c := contract{keys: "meta journal", args: "epoch code", replies: []string{"done seq", "refused reason"}}
	good := "-- KEYS meta journal\n-- ARGV epoch code\n-- REPLY done seq\n-- REPLY refused reason\n" +
		"local meta, journal = KEYS[1], KEYS[2]\nlocal epoch, code = ARGV[1], ARGV[2]\n" +
		"redis.call('GET', meta, journal, epoch, code)\nreturn answer('done', 1)\n"
	if p := checkContract(c, good); len(p) > 0 {
		t.Fatalf("a script that keeps its contract: %v", p)
	}
	for name, change := range map[string][2]string{
		"renamed slot":    {"local epoch, code", "local era, code"},
		"swapped slots":   {"local meta, journal", "local journal, meta"},
		"unread slot":     {", epoch, code)", ", epoch)"},
		"changed reply":   {"answer('done'", "answer('finished'"},
		"new reply":       {"return answer", "if code then return answer('other') end\nreturn answer"},
		"renamed in head": {"-- ARGV epoch code", "-- ARGV epoch kode"},
		"slot by number":  {"'GET', meta", "'GET', KEYS[1]"},
	} {
		if p := checkContract(c, strings.Replace(good, change[0], change[1], 1)); len(p) == 0 {
			t.Errorf("%s goes unnoticed", name)
		}
	}
}

// TestReasons: every reason that a script gives is one that the domain knows.
func TestReasons(t *testing.T) {
	reason := regexp.MustCompile(`(?:answer\('refused', |return |why, wait = )'(\w+)'`)
	found := 0
	for name, source := range scripts(t) {
		full, err := loadSource(name)
		if err != nil {
			t.Fatal(err)
		}
		_ = source
		for _, m := range reason.FindAllStringSubmatch(withoutComments(full), -1) {
			found++
			if gateway.Reason(m[1]).Sentence() == "" {
				t.Errorf("%s.lua gives the reason %q, which package gateway does not know", name, m[1])
			}
		}
	}
	if found < 15 {
		t.Fatalf("only %d reasons found: the search is broken", found)
	}
}

// TestLint: no script reads or writes a global of its own, calls what is not
// allowed, or names a key that was not declared.
func TestLint(t *testing.T) {
	for name := range scripts(t) {
		full, err := loadSource(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range lint(full) {
			t.Errorf("%s.lua: %s", name, problem)
		}
	}
}

var allowedGlobals = []string{
	"redis", "KEYS", "ARGV", "tonumber", "tostring", "ipairs", "pairs", "next", "unpack", "pcall", "string", "table", "math",
}

var allowedCommands = []string{
	"TIME", "HGET", "HMGET", "HGETALL", "HSET", "HDEL", "HEXISTS", "EXISTS", "XADD", "XTRIM", "ZADD", "ZREM", "ZRANK", "ZRANGE", "ZSCORE", "ZCARD", "UNLINK", "PEXPIRE",
}

func lint(source string) (problems []string) {
	chunk, err := luaparse.Parse(strings.NewReader(source), "script")
	if err != nil {
		return []string{err.Error()}
	}
	l := &linter{}
	l.block(chunk, map[string]bool{})
	return l.problems
}

func TestLintCatches(t *testing.T) {
	for name, source := range map[string]string{
		"global write":        "x = 1",
		"global read":         "return y",
		"global in function":  "local function f() return z end",
		"os":                  "return os.time()",
		"command not allowed": "return redis.call('KEYS', '*')",
		"computed command":    "local c = 'GET'\nreturn redis.call(c, KEYS[1])",
		"literal key":         "return redis.call('HGET', 'ao:{l}:meta', 'seq')",
		"joined key":          "local k = KEYS[1]\nreturn redis.call('HGET', k .. ':x', 'seq')",
		"syntax":              "local = 1",
	} {
		if len(lint(source)) == 0 {
			t.Errorf("%s goes unnoticed", name)
		}
	}
	if p := lint("local k = KEYS[1]\nreturn redis.call('HGET', k, 'f')"); len(p) != 0 {
		t.Errorf("a clean script: %v", p)
	}
}

// linter walks a script with the locals in sight.
type linter struct{ problems []string }

func (l *linter) complain(line int, format string, a ...any) {
	l.problems = append(l.problems, fmt.Sprintf("line %d: %s", line, fmt.Sprintf(format, a...)))
}

func (l *linter) block(stmts []luaast.Stmt, outer map[string]bool) {
	scope := map[string]bool{}
	for k := range outer {
		scope[k] = true
	}
	for _, s := range stmts {
		l.stmt(s, scope)
	}
}

func (l *linter) stmt(s luaast.Stmt, scope map[string]bool) {
	switch s := s.(type) {
	case *luaast.LocalAssignStmt:
		if len(s.Exprs) == 1 {
			if _, ok := s.Exprs[0].(*luaast.FunctionExpr); ok {
				scope[s.Names[0]] = true
			}
		}
		l.exprs(s.Exprs, scope)
		for _, n := range s.Names {
			scope[n] = true
		}
	case *luaast.AssignStmt:
		for _, lhs := range s.Lhs {
			if id, ok := lhs.(*luaast.IdentExpr); ok && !scope[id.Value] {
				l.complain(s.Line(), "writes the global %s", id.Value)
			}
			l.expr(lhs, scope)
		}
		l.exprs(s.Rhs, scope)
	case *luaast.FuncCallStmt:
		l.expr(s.Expr, scope)
	case *luaast.DoBlockStmt:
		l.block(s.Stmts, scope)
	case *luaast.WhileStmt:
		l.expr(s.Condition, scope)
		l.block(s.Stmts, scope)
	case *luaast.IfStmt:
		l.expr(s.Condition, scope)
		l.block(s.Then, scope)
		l.block(s.Else, scope)
	case *luaast.NumberForStmt:
		l.exprs([]luaast.Expr{s.Init, s.Limit, s.Step}, scope)
		l.block(s.Stmts, with(scope, s.Name))
	case *luaast.GenericForStmt:
		l.exprs(s.Exprs, scope)
		l.block(s.Stmts, with(scope, s.Names...))
	case *luaast.ReturnStmt:
		l.exprs(s.Exprs, scope)
	case *luaast.BreakStmt:
	default:
		l.complain(s.Line(), "a statement of type %T is not allowed", s)
	}
}

func with(scope map[string]bool, names ...string) map[string]bool {
	inner := map[string]bool{}
	for k := range scope {
		inner[k] = true
	}
	for _, n := range names {
		inner[n] = true
	}
	return inner
}

func (l *linter) exprs(list []luaast.Expr, scope map[string]bool) {
	for _, e := range list {
		l.expr(e, scope)
	}
}

func (l *linter) expr(e luaast.Expr, scope map[string]bool) {
	switch e := e.(type) {
	case *luaast.IdentExpr:
		if !scope[e.Value] && !slices.Contains(allowedGlobals, e.Value) {
			l.complain(e.Line(), "reads the global %s", e.Value)
		}
	case *luaast.AttrGetExpr:
		l.exprs([]luaast.Expr{e.Object, e.Key}, scope)
	case *luaast.TableExpr:
		for _, f := range e.Fields {
			if f.Key != nil {
				l.expr(f.Key, scope)
			}
			l.expr(f.Value, scope)
		}
	case *luaast.FuncCallExpr:
		l.call(e, scope)
	case *luaast.LogicalOpExpr:
		l.exprs([]luaast.Expr{e.Lhs, e.Rhs}, scope)
	case *luaast.RelationalOpExpr:
		l.exprs([]luaast.Expr{e.Lhs, e.Rhs}, scope)
	case *luaast.StringConcatOpExpr:
		l.exprs([]luaast.Expr{e.Lhs, e.Rhs}, scope)
	case *luaast.ArithmeticOpExpr:
		l.exprs([]luaast.Expr{e.Lhs, e.Rhs}, scope)
	case *luaast.UnaryMinusOpExpr:
		l.expr(e.Expr, scope)
	case *luaast.UnaryNotOpExpr:
		l.expr(e.Expr, scope)
	case *luaast.UnaryLenOpExpr:
		l.expr(e.Expr, scope)
	case *luaast.FunctionExpr:
		l.block(e.Stmts, with(scope, e.ParList.Names...))
	}
}

// call checks a call of redis: only call itself, a literal command that is
// allowed, and a key that is neither written out nor put together.
func (l *linter) call(e *luaast.FuncCallExpr, scope map[string]bool) {
	if e.Func != nil {
		l.expr(e.Func, scope)
	} else {
		l.expr(e.Receiver, scope)
	}
	l.exprs(e.Args, scope)
	attr, ok := e.Func.(*luaast.AttrGetExpr)
	if !ok {
		return
	}
	if object, ok := attr.Object.(*luaast.IdentExpr); !ok || object.Value != "redis" {
		return
	}
	if key, ok := attr.Key.(*luaast.StringExpr); !ok || key.Value != "call" {
		l.complain(e.Line(), "uses something of redis other than call")
		return
	}
	command, ok := e.Args[0].(*luaast.StringExpr)
	if !ok {
		l.complain(e.Line(), "calls a command that is not written out")
		return
	}
	if !slices.Contains(allowedCommands, command.Value) {
		l.complain(e.Line(), "calls %s, which is not allowed", command.Value)
	}
	if len(e.Args) > 1 {
		switch e.Args[1].(type) {
		case *luaast.IdentExpr, *luaast.AttrGetExpr:
		default:
			l.complain(e.Line(), "%s: the key is not one that was declared", command.Value)
		}
	}
}

// TestMintable: whatever brings codes into being asks first whether gateways
// will know them, and waits until all do.
func TestMintable(t *testing.T) {
	minting := 0
	for name, source := range scripts(t) {
		if !regexp.MustCompile(`'HEXISTS', (item\.)?code_bucket`).MatchString(source) {
			continue
		}
		minting++
		goes := ""
		files, err := filepath.Glob("*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(body), `declare("`+name+`"`) {
				goes = string(body)
			}
		}
		if !strings.Contains(goes, "s.mintable(") || !strings.Contains(goes, "s.widely(") {
			t.Errorf("%s makes codes, and its Go half does not call mintable and widely before it", name)
		}
	}
	if minting < 2 {
		t.Errorf("%d scripts make codes", minting)
	}
}
