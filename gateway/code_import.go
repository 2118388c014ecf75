package gateway

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// MaxImport is how many codes an import may bring: what one script takes, so
// that all of them come or none.
const MaxImport = 10_000

// Import is what a CSV of codes says, and every line that is wrong.
type Import struct {
	Codes    []NewCode
	Lines    []int // of Codes
	Problems []LineError
}

// ReadCodes reads codes to import as CSV: one column, or a header with code and
// any of max_uses, expires_at (RFC 3339) and recipient, which canonical reads.
func ReadCodes(r io.Reader, canonical func(string) (string, error)) (all Import, err error) {
	in := importReader(r)
	first, err := in.Read()
	if err == io.EOF {
		return all, nil
	}
	if err != nil {
		return all, notCSV(err)
	}
	first[0] = strings.TrimPrefix(first[0], "\ufeff")
	columns, ok := codeColumns(first)
	if ok {
		first = nil
	}
	all.Problems, err = importRows(in, first, MaxImport, "codes at once; split the file.", func(record []string, line int, met map[string]int) error {
		c, err := readLine(record, columns, canonical)
		if before, twice := met[string(c.Code)]; err == nil && twice {
			err = fmt.Errorf("the same code as in line %d", before)
		}
		if err == nil {
			met[string(c.Code)] = line
			all.Codes, all.Lines = append(all.Codes, c), append(all.Lines, line)
		}
		return err
	})
	if err != nil {
		return Import{}, err
	}
	return all, nil
}

// codeColumns reads a header; without one there is but the column of codes.
func codeColumns(record []string) (importColumns, bool) {
	columns := importColumns{}
	for i, name := range record {
		name = strings.ToLower(strings.TrimSpace(name))
		switch name {
		case "code", "max_uses", "expires_at", "recipient":
			columns[name] = i
		default:
			return importColumns{"code": 0}, false
		}
	}
	if _, ok := columns["code"]; !ok {
		return importColumns{"code": 0}, false
	}
	return columns, true
}

func readLine(record []string, columns importColumns, canonical func(string) (string, error)) (c NewCode, err error) {
	if err := columns.fit(record); err != nil {
		return c, err
	}
	c.Display = columns.cell(record, "code")
	if c.Code, err = ReadCode(c.Display); err != nil {
		return c, fmt.Errorf("code: %w", err)
	}
	c.Display = DisplayText(c.Display)
	if s := columns.cell(record, "max_uses"); s != "" {
		if c.MaxUses, err = strconv.Atoi(s); err != nil || c.MaxUses < 1 || c.MaxUses > MaxUses {
			return c, errors.New("max_uses: use a whole number from 1 to 1000000000")
		}
	}
	if s := columns.cell(record, "expires_at"); s != "" {
		if c.ExpiresAt, err = time.Parse(time.RFC3339, s); err != nil {
			return c, errors.New("expires_at: use a time such as 2027-01-31T12:00:00Z")
		}
	}
	if s := columns.cell(record, "recipient"); s != "" {
		if c.Recipient, err = canonical(s); err != nil {
			return c, fmt.Errorf("recipient: %w", err)
		}
	}
	return c, nil
}

// DisplayText is how a chosen code is kept to be shown: letters, digits and
// single ASCII hyphens.
func DisplayText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80 && fold(byte(r)) != 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.TrimSuffix(b.String(), "-")
}
