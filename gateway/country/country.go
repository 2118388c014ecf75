// Package country tells which country an address is in, by a MaxMind DB file
// of the deployment's own. None comes with the program: their licences differ.
package country

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	path   string
	reader atomic.Pointer[maxminddb.Reader]
	read   time.Time // when the file was changed that was read
}

// Open reads a database whose records have country.iso_code, as those for
// countries and cities of MaxMind, DB-IP and IPinfo's converters do. The file
// is kept in memory, so that it may be replaced in any way.
func Open(path string) (*DB, error) {
	d := &DB{path: path}
	return d, d.load()
}

func (d *DB) load() error {
	info, err := os.Stat(d.path)
	if err != nil {
		return fmt.Errorf("country: %w", err)
	}
	b, err := os.ReadFile(d.path)
	if err != nil {
		return fmt.Errorf("country: %w", err)
	}
	r, err := maxminddb.OpenBytes(b)
	if err != nil {
		return fmt.Errorf("country: %s is no MaxMind DB: %w", d.path, err)
	}
	d.read = info.ModTime()
	d.reader.Store(r)
	return nil
}

// Watch reads the file again when it has changed, until the context is over. A
// file that cannot be read leaves the one before in force.
func (d *DB) Watch(ctx context.Context, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		info, err := os.Stat(d.path)
		if err == nil && info.ModTime().Equal(d.read) {
			continue
		}
		if err == nil {
			err = d.load()
		}
		if err != nil {
			log.Warn("the database of countries cannot be read; the one before stays", "error", err)
		}
	}
}

// Country is the ISO 3166-1 code of the country that an address is in; "" where
// the database does not say.
func (d *DB) Country(a netip.Addr) string {
	var code string
	if err := d.reader.Load().Lookup(a.Unmap()).DecodePath(&code, "country", "iso_code"); err != nil || len(code) != 2 {
		return ""
	}
	return code
}
