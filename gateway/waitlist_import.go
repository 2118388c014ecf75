package gateway

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// EntryImport is what a CSV of a waitlist says, and every line that is wrong.
type EntryImport struct {
	Joins    []Join
	Problems []LineError
}

// MaxEntryImport is the most entries of one import.
const MaxEntryImport = 20_000

// ReadEntries reads a waitlist to import as CSV: a header with email and any of
// name, source and priority. The order of the lines is the order of arrival.
// canonical reads an address.
func ReadEntries(r io.Reader, canonical func(string) (string, error)) (EntryImport, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord, in.ReuseRecord, in.TrimLeadingSpace = -1, true, true
	var all EntryImport
	head, err := in.Read()
	if err != nil {
		return all, Invalid("body", "Begin with a line that names the columns: email, and any of name, source and priority.")
	}
	columns := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		switch name {
		case "email", "name", "source", "priority":
			columns[name] = i
		default:
			return all, Invalid("body", fmt.Sprintf("There is no column %.40q; use email, name, source and priority.", name))
		}
	}
	if _, ok := columns["email"]; !ok {
		return all, Invalid("body", "Name the column of the e-mail addresses: email.")
	}
	first := map[string]int{}
	for {
		record, err := in.Read()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return EntryImport{}, Invalid("body", "It is not valid CSV: "+err.Error())
		}
		line, _ := in.FieldPos(0)
		if len(all.Joins)+len(all.Problems) >= MaxEntryImport {
			return EntryImport{}, Invalid("body", fmt.Sprintf("Import at most %d entries at once; split the file and send the parts in order.", MaxEntryImport))
		}
		j, err := readEntryLine(record, columns, canonical)
		if before, twice := first[j.Email]; err == nil && twice {
			err = fmt.Errorf("the same address as in line %d", before)
		}
		if err != nil {
			all.Problems = append(all.Problems, LineError{line, err.Error()})
			continue
		}
		first[j.Email] = line
		all.Joins = append(all.Joins, j)
	}
}

func readEntryLine(record []string, columns map[string]int, canonical func(string) (string, error)) (j Join, err error) {
	get := func(name string) string {
		if i, ok := columns[name]; ok && i < len(record) {
			return strings.TrimSpace(record[i])
		}
		return ""
	}
	if len(record) > len(columns) {
		return j, fmt.Errorf("%d columns where %d are expected", len(record), len(columns))
	}
	if j.Email, err = canonical(get("email")); err != nil {
		return j, fmt.Errorf("email: %w", err)
	}
	if !strings.Contains(j.Email, "@") {
		return j, errors.New("email: use an e-mail address")
	}
	if j.Name = get("name"); len(j.Name) > 400 || strings.ContainsFunc(j.Name, notPrintable) {
		return j, errors.New("name: use at most 400 bytes of printable text")
	}
	if j.Source = get("source"); j.Source != "" && !ValidSource(j.Source) {
		return j, errors.New("source: use 1 to 50 of a-z, 0-9, _ and -")
	}
	if s := get("priority"); s != "" {
		if j.Points, err = strconv.Atoi(s); err != nil || j.Points < -MaxPoints || j.Points > MaxPoints {
			return j, errors.New("priority: use a whole number from -1000000 to 1000000")
		}
	}
	return j, nil
}
