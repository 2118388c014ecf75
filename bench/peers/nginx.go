package peers

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"admitone/bench/rig"
)

//go:embed nginx.lua
var nginxLua string

// Nginx is nginx with Lua as a peer.
type Nginx struct {
	Addr    string // host:port
	program *rig.Program
}

// FindNginx returns the program, or a *rig.MissingError when it or one of its
// modules is not on the machine.
func FindNginx() (string, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx"
	}
	for file, pkg := range map[string]string{
		path: "nginx", nginxModules + "ngx_http_lua_module.so": "libnginx-mod-http-lua", nginxModules + "ndk_http_module.so": "libnginx-mod-http-ndk",
		"/usr/share/lua/5.1/nginx/redis.lua": "lua-nginx-redis",
	} {
		if _, err := os.Stat(file); err != nil {
			return "", &rig.MissingError{Binary: file, Package: pkg}
		}
	}
	found, _ := filepath.Glob("/usr/lib/*/lua/5.1/cjson.so")
	if len(found) == 0 {
		return "", &rig.MissingError{Binary: "cjson.so", Package: "lua-cjson"}
	}
	return path, nil
}

const nginxModules = "/usr/lib/nginx/modules/"

const nginxConfig = `daemon off;
%s
worker_processes %d;
pid %s/nginx.pid;
error_log %[3]s/error.log warn;
load_module %[4]sndk_http_module.so;
load_module %[4]sngx_http_lua_module.so;
events { worker_connections 16384; }
http {
    access_log off;
    server_tokens off;
    keepalive_requests 1000000000;
    keepalive_timeout 60s;
    client_body_buffer_size 16k;
    client_max_body_size 16k;
    client_body_temp_path %[3]s/body;
    proxy_temp_path %[3]s/proxy;
    fastcgi_temp_path %[3]s/fastcgi;
    uwsgi_temp_path %[3]s/uwsgi;
    scgi_temp_path %[3]s/scgi;
    lua_socket_log_errors off;
    server {
        listen %[5]s reuseport backlog=4096;
        location / { content_by_lua_file %[3]s/redeem.lua; }
    }
}
`

// StartNginx starts nginx in a directory of its own, over a Redis that
// SeedRedis has made ready.
func StartNginx(ctx context.Context, dir, redis, sha string) (*Nginx, error) {
	path, err := FindNginx()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	port, err := rig.FreePort()
	if err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	host, redisPort, err := net.SplitHostPort(redis)
	if err != nil {
		return nil, err
	}
	script := strings.NewReplacer(
		"{host}", host, "{port}", redisPort, "{sha}", sha, "{token}", token, "{code_key}", codeKey, "{subjects_key}", subjectsKey,
		"{attempts_key}", attemptsKey, "{journal_key}", journalKey, "{per_address}", strconv.Itoa(perAddress), "{per_subject}", strconv.Itoa(perSubject),
	).Replace(nginxLua)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // its workers read the directory of whoever measures
	}
	config := fmt.Sprintf(nginxConfig, user, runtime.NumCPU(), dir, nginxModules, addr)
	for name, text := range map[string]string{"redeem.lua": script, "nginx.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	n := &Nginx{Addr: addr}
	dialer := net.Dialer{Timeout: time.Second}
	n.program, err = rig.StartProgram(ctx, filepath.Join(dir, "nginx.log"), func(ctx context.Context) error {
		c, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			c.Close()
		}
		return err
	}, path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", filepath.Join(dir, "nginx.conf"))
	return n, err
}

// PID is the master's process; the workers are its children.
func (n *Nginx) PID() int { return n.program.PID() }

// Close ends it.
func (n *Nginx) Close() { n.program.Kill() }
