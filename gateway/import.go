package gateway

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// LineError says what is wrong with a line of an import.
type LineError struct {
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// importReader reads CSV as people's programs write it.
func importReader(r io.Reader) *csv.Reader {
	in := csv.NewReader(r)
	in.FieldsPerRecord, in.ReuseRecord, in.TrimLeadingSpace = -1, true, true
	return in
}

func notCSV(err error) error { return Invalid("body", "It is not valid CSV: "+err.Error()) }

// importColumns says which column of a CSV is where.
type importColumns map[string]int

// fit refuses a record with more cells than there are columns.
func (c importColumns) fit(record []string) error {
	if len(record) > len(c) {
		return fmt.Errorf("%d columns where %d are expected", len(record), len(c))
	}
	return nil
}

// cell is a record's cell in a column; "" if it has none.
func (c importColumns) cell(record []string, name string) string {
	if i, ok := c[name]; ok && i < len(record) {
		return strings.TrimSpace(record[i])
	}
	return ""
}

// importRows hands every record of a CSV to keep, beginning with first unless
// that is nil, and returns the lines that keep found to be wrong. keep gets the
// line's number and what it has noted of the lines before. More than most
// records are refused as a whole, with tooMany behind their number.
func importRows(in *csv.Reader, first []string, most int, tooMany string, keep func(record []string, line int, met map[string]int) error) ([]LineError, error) {
	var problems []LineError
	met := map[string]int{}
	for n, record := 0, first; ; n, record = n+1, nil {
		if record == nil {
			var err error
			if record, err = in.Read(); err == io.EOF {
				return problems, nil
			} else if err != nil {
				return nil, notCSV(err)
			}
		}
		line, _ := in.FieldPos(0)
		if n >= most {
			return nil, Invalid("body", fmt.Sprintf("Import at most %d %s", most, tooMany))
		}
		if err := keep(record, line, met); err != nil {
			problems = append(problems, LineError{line, err.Error()})
		}
	}
}
