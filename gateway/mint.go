package gateway

import (
	"context"
	"errors"
	"time"
)

// MintJob is a minting too large to answer at once. Its codes are derived from
// a secret of its own, so that one which was interrupted makes the same again.
type MintJob struct {
	ID       ID        `json:"id"`
	Launch   string    `json:"launch"`
	Campaign uint32    `json:"campaign"`
	Count    int       `json:"count"`
	Done     int       `json:"done"`
	Error    string    `json:"error,omitempty"`
	Actor    string    `json:"-"`
	Created  time.Time `json:"created_at"`
	EndedAt  time.Time `json:"ended_at,omitzero"`
}

// MaxMintJob is how many codes a job may mint.
const MaxMintJob = 1_000_000

// Minter brings codes into being, all of a call or none.
type Minter interface {
	Mint(ctx context.Context, launch string, campaign uint32, codes []NewCode, by Actor) (position uint64, err error)
	Now(ctx context.Context, launch string) (time.Time, error)
}

// mintChunk is how many codes go into one script call: other requests wait for
// it, some 2 ms.
const mintChunk = 1000

// Minting makes codes of a campaign's template.
type Minting struct {
	Store    Minter
	Checker  Checker
	Launch   *Launch
	Campaign *Campaign
	By       Actor
}

// Generate mints n codes at random. live is how many codes the campaign has
// already, for the entropy guard. It returns the codes that were minted, also
// when it fails on the way.
func (m *Minting) Generate(ctx context.Context, n, live int) ([]NewCode, error) {
	t, expires, err := m.begin(ctx, live+n)
	if err != nil {
		return nil, err
	}
	codes := make([]NewCode, 0, n)
	for len(codes) < n {
		chunk := make([]NewCode, 0, mintChunk)
		for range min(mintChunk, n-len(codes)) {
			chunk = append(chunk, NewCode{Code: t.Generate(m.Checker, m.Launch.Name), ExpiresAt: expires})
		}
		minted, err := m.mint(ctx, chunk)
		if err != nil {
			return codes, err
		}
		codes = append(codes, minted...)
	}
	for i := range codes {
		codes[i].Display = t.Display(codes[i].Code)
	}
	return codes, nil
}

// Derive mints n codes of a job's key, n in the thousands, from the done-th on,
// and tells how far it has come after every chunk.
//
// Repeated after a failure, it makes the same chunks. A chunk was minted as a
// whole or not at all, so one whose codes all exist is an earlier attempt's
// own; where only some exist they are others' codes, and the slots of those are
// filled anew.
func (m *Minting) Derive(ctx context.Context, key []byte, done, n int, progress func(done int) error) error {
	t, expires, err := m.begin(ctx, n)
	if err != nil {
		return err
	}
	chunks := (n + mintChunk - 1) / mintChunk
	for i := range chunks {
		// Chunks of nearly one size: a last one of a single code could not be
		// told from somebody else's.
		first, end := n*i/chunks, n*(i+1)/chunks
		if end <= done {
			continue
		}
		if err := m.derive(ctx, t, key, expires, first, end-first); err != nil {
			return err
		}
		if err := progress(end); err != nil {
			return err
		}
	}
	return nil
}

// derive mints one chunk of a job. A slot's code is the first of its numbers
// slot, slot+2³², slot+2·2³², … that is free.
func (m *Minting) derive(ctx context.Context, t Template, key []byte, expires time.Time, first, count int) error {
	chunk, number, met := make([]NewCode, count), make([]uint64, count), make(map[Code]bool, count)
	fill := func(slot int) {
		for again := true; again; number[slot] += 1 << 32 {
			chunk[slot] = NewCode{Code: t.Nth(m.Checker, m.Launch.Name, key, number[slot]), ExpiresAt: expires}
			again = met[chunk[slot].Code]
		}
		met[chunk[slot].Code] = true
	}
	for slot := range chunk {
		number[slot] = uint64(first + slot)
		fill(slot)
	}
	for range maxRefills {
		_, err := m.Store.Mint(ctx, m.Launch.Name, m.Campaign.Number, chunk, m.By)
		var exist *CodesExist
		if !errors.As(err, &exist) {
			return err
		}
		if len(exist.Indexes) == count {
			return nil
		}
		for _, slot := range exist.Indexes {
			fill(slot)
		}
	}
	return Refuse(CodeExists)
}

// maxRefills is how often slots are filled anew before a minting gives up: the
// guard against guessing keeps templates far from being full.
const maxRefills = 20

func (m *Minting) begin(ctx context.Context, live int) (Template, time.Time, error) {
	t, err := ParseTemplate(m.Campaign.Format)
	if err == nil {
		err = t.Guard(live)
	}
	if err != nil || m.Campaign.Expires == 0 {
		return t, time.Time{}, err
	}
	now, err := m.Store.Now(ctx, m.Launch.Name)
	return t, now.Add(time.Duration(m.Campaign.Expires)), err
}

// mint mints those of a chunk that do not exist yet.
func (m *Minting) mint(ctx context.Context, chunk []NewCode) ([]NewCode, error) {
	for len(chunk) > 0 {
		_, err := m.Store.Mint(ctx, m.Launch.Name, m.Campaign.Number, chunk, m.By)
		var exist *CodesExist
		if !errors.As(err, &exist) {
			return chunk, err
		}
		taken := make(map[int]bool, len(exist.Indexes))
		for _, i := range exist.Indexes {
			taken[i] = true
		}
		rest := make([]NewCode, 0, len(chunk))
		for i, c := range chunk {
			if !taken[i] {
				rest = append(rest, c)
			}
		}
		chunk = rest
	}
	return nil, nil
}
