package ledger

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

var errCursor = gateway.Invalid("after", "Use the next of the page before, unchanged.")

// encodeCursor turns the sort key of a page's last row into an opaque word, and
// decodeCursor back.
func encodeCursor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

func decodeCursor(p gateway.Page) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil || !utf8.Valid(b) || slices.Contains(b, 0) { // Postgres takes neither as text
		return "", errCursor
	}
	return string(b), nil
}

// idCursor reads the cursor of a list in the order of ids; nil is NULL, before
// the first row.
func idCursor(p gateway.Page) (any, error) {
	id, err := decodeCursor(p)
	if err != nil || id == "" {
		return nil, err
	}
	if _, err := gateway.ParseID(id); err != nil {
		return nil, errCursor
	}
	return id, nil
}

// placeCursor reads the place of an event in the journal; the first page begins
// behind all of them.
func placeCursor(p gateway.Page) (position int64, ordinal int32, err error) {
	cursor, err := decodeCursor(p)
	if cursor == "" || err != nil {
		return 1 << 62, 0, err
	}
	first, second, _ := strings.Cut(cursor, " ")
	position, err1 := strconv.ParseInt(first, 10, 64)
	n, err2 := strconv.ParseInt(second, 10, 32)
	if err1 != nil || err2 != nil {
		return 0, 0, errCursor
	}
	return position, int32(n), nil
}

// placeKey and inviteCursor are the sort key of what was made at a position.
func placeKey(position int64, code string) string {
	return strconv.FormatInt(position, 10) + " " + code
}

func inviteCursor(p gateway.Page) (position int64, code string, err error) {
	cursor, err := decodeCursor(p)
	if cursor == "" || err != nil {
		return 1 << 62, "", err
	}
	first, code, _ := strings.Cut(cursor, " ")
	position, err = strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, "", errCursor
	}
	return position, code, nil
}

// page collects limit rows of a query for one more than that.
func page[T any](rows pgx.Rows, limit int, scan pgx.RowToFunc[T], key func(T) string) (gateway.List[T], error) {
	return pageOf(rows, limit, scan, key, func(row T) T { return row })
}

// pageOf collects rows that carry more than is shown: what they are sorted by.
func pageOf[R, T any](rows pgx.Rows, limit int, scan pgx.RowToFunc[R], key func(R) string, show func(R) T) (gateway.List[T], error) {
	data, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return gateway.List[T]{}, err
	}
	l := gateway.List[T]{Data: make([]T, 0, min(len(data), limit)), HasMore: len(data) > limit}
	for _, row := range data[:min(len(data), limit)] {
		l.Data = append(l.Data, show(row))
	}
	if l.HasMore {
		l.Next = encodeCursor(key(data[limit-1]))
	}
	return l, nil
}
