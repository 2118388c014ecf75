package gateway

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// EntryImport is what a CSV of a waitlist says, and every line that is wrong.
type EntryImport struct {
	Joins    []Join
	Skipped  int // lines of people who do not wait any more
	Problems []LineError
}

// MaxEntryImport is the most entries of one import.
const MaxEntryImport = 20_000

// ReadEntries reads a waitlist to import as CSV: a header with email and any of
// name, source, priority and status. The order of the lines is the order of
// arrival; those whose status is another than waiting are left out, so that an
// export can be read: its other columns say nothing. canonical reads an address.
func ReadEntries(r io.Reader, canonical func(string) (string, error)) (all EntryImport, err error) {
	in := importReader(r)
	head, err := in.Read()
	if err != nil {
		return all, Invalid("body", "Begin with a line that names the columns: email, and any of name, source and priority.")
	}
	columns := importColumns{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		switch name {
		case "email", "name", "source", "priority", "status", "referrals", "joined_at", "invited_at", "release":
			if _, twice := columns[name]; twice {
				return all, Invalid("body", fmt.Sprintf("The column %s is there twice.", name))
			}
			columns[name] = i
		default:
			return all, Invalid("body", fmt.Sprintf("There is no column %.40q; use email, name, source, priority and status.", name))
		}
	}
	if _, ok := columns["email"]; !ok {
		return all, Invalid("body", "Name the column of the e-mail addresses: email.")
	}
	all.Problems, err = importRows(in, nil, MaxEntryImport, "entries at once; split the file and send the parts in order.", func(record []string, line int, met map[string]int) error {
		j, err := readEntryLine(record, columns, canonical)
		if before, twice := met[j.Email]; err == nil && twice {
			err = fmt.Errorf("the same address as in line %d", before)
		}
		switch {
		case err == nil && !waits(columns.cell(record, "status")):
			all.Skipped++
		case err == nil:
			met[j.Email] = line
			all.Joins = append(all.Joins, j)
		}
		return err
	})
	if err != nil {
		return EntryImport{}, err
	}
	return all, nil
}

func readEntryLine(record []string, columns importColumns, canonical func(string) (string, error)) (j Join, err error) {
	if err := columns.fit(record); err != nil {
		return j, err
	}
	switch EntryStatus(columns.cell(record, "status")) {
	case "", EntryWaiting, EntryInvited, EntryRegistered, EntryDeclined, EntryExpired, EntryLeft:
	default:
		return j, errors.New("status: use waiting, invited, registered, declined, expired or left")
	}
	if j.Email, err = canonical(plainText(columns.cell(record, "email"))); err != nil {
		return j, fmt.Errorf("email: %w", err)
	}
	if !strings.Contains(j.Email, "@") {
		return j, errors.New("email: use an e-mail address")
	}
	if j.Name = plainText(columns.cell(record, "name")); len(j.Name) > 400 || strings.ContainsFunc(j.Name, notPrintable) {
		return j, errors.New("name: use at most 400 bytes of printable text")
	}
	if j.Source = plainText(columns.cell(record, "source")); j.Source != "" && !ValidSource(j.Source) {
		return j, errors.New("source: use 1 to 50 of a-z, 0-9, _ and -")
	}
	if s := columns.cell(record, "priority"); s != "" {
		if j.Points, err = strconv.Atoi(s); err != nil || j.Points < -MaxPoints || j.Points > MaxPoints {
			return j, errors.New("priority: use a whole number from -1000000 to 1000000")
		}
	}
	return j, nil
}

func waits(status string) bool { return status == "" || EntryStatus(status) == EntryWaiting }

// plainText takes back what an export puts before a cell that a spreadsheet
// would calculate.
func plainText(s string) string {
	if len(s) > 1 && s[0] == '\'' && strings.IndexByte("=+-@", s[1]) >= 0 {
		return s[1:]
	}
	return s
}
