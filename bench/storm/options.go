package storm

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// What a run may ask for at most. A generator on one thread does not do more.
const (
	MaxRate        = 200_000 // requests a second
	MaxConnections = 20_000
	MaxFor         = time.Hour
)

// Options say what a run is. Target and Mix are required.
type Options struct {
	Target      Target
	Mix         *Mix
	Connections int           // 0: 64
	Rate        float64       // requests a second, open loop; 0: closed loop
	Warmup      time.Duration // not measured
	For         time.Duration // measured, after the warm-up; 0: 10 s
	Timeout     time.Duration // of a request, and of a connection; 0: 5 s
	Seed        uint64        // of the gaps between requests

	// Window is called when the measured time begins (true) and when it ends
	// (false), for whoever measures something else over the same time.
	Window func(begins bool)
	// Progress is called about once a second.
	Progress func(Progress)
}

func (o *Options) check() error {
	if o.Connections == 0 {
		o.Connections = 64
	}
	if o.For == 0 {
		o.For = 10 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	switch {
	case o.Target.Host == "":
		return errors.New("storm: no target")
	case o.Mix == nil || len(o.Mix.order) == 0:
		return errors.New("storm: nothing to send: the mix is empty")
	case o.Connections < 0 || o.Connections > MaxConnections:
		return fmt.Errorf("storm: use 1 to %d connections", MaxConnections)
	case o.Rate < 0 || o.Rate > MaxRate:
		return fmt.Errorf("storm: use a rate of 1 to %d requests a second, or 0 for as many as are answered", MaxRate)
	case o.For < 0 || o.Warmup < 0 || o.For+o.Warmup > MaxFor:
		return fmt.Errorf("storm: use a time of up to %v", MaxFor)
	}
	return nil
}

// Target is where requests go.
type Target struct {
	Host string       // as the Host field names it
	Addr *net.TCPAddr // resolved once
}

// ParseTarget reads "http://host:port". It resolves the name.
func ParseTarget(s string) (Target, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return Target{}, fmt.Errorf("the URL %q does not parse; use http://host:port", s)
	case u.Scheme == "https":
		return Target{}, errors.New("https is not spoken here: TLS would be measured instead of the gateway; aim at the gateway's own listener, http://host:port")
	case u.Scheme != "http" || u.Host == "":
		return Target{}, fmt.Errorf("the URL %q is no http URL; use http://host:port", s)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		return Target{}, fmt.Errorf("the URL %q says more than a host; use http://host:port, the paths are known", s)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return Target{}, fmt.Errorf("the host of %q is not found: %w", s, err)
	}
	return Target{Host: u.Host, Addr: addr}, nil
}
