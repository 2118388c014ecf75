package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// object is a JSON object with its fields in order.
type object []member

type member struct {
	name  string
	value any
}

// maxNesting is how deep objects and lists may stand in each other.
const maxNesting = 10

// readDocument reads a document into objects, lists, strings, json.Numbers,
// booleans and nil. Fields that are given twice are problems, of which the
// first value is kept; what is no JSON or out of bounds is an error.
func readDocument(document []byte) (any, []Problem, error) {
	if len(document) > maxPolicy {
		return nil, nil, errors.New("the document is larger than 64 KiB")
	}
	r := &documentReader{tokens: json.NewDecoder(bytes.NewReader(document)), document: document}
	r.tokens.UseNumber()
	v, err := r.value("", 0)
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.tokens.Token(); err != io.EOF {
		return nil, nil, errors.New("there is something after the end of the document")
	}
	return v, r.problems, nil
}

type documentReader struct {
	tokens   *json.Decoder
	document []byte
	problems []Problem
}

func (r *documentReader) token() (json.Token, error) {
	t, err := r.tokens.Token()
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the document is not valid JSON: it ends too early")
	}
	read := r.document[:min(r.tokens.InputOffset(), int64(len(r.document)))]
	return nil, fmt.Errorf("the document is not valid JSON: line %d: %w", bytes.Count(read, []byte("\n"))+1, err)
}

func (r *documentReader) value(path string, depth int) (any, error) {
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'), json.Delim('['):
		if depth == maxNesting {
			return nil, errors.New("the document is nested too deeply")
		}
	default:
		return t, nil
	}
	if t == json.Delim('[') {
		return r.list(path, depth+1)
	}
	return r.object(path, depth+1)
}

func (r *documentReader) object(path string, depth int) (any, error) {
	o, met := object{}, map[string]bool{}
	for r.tokens.More() {
		t, err := r.token()
		if err != nil {
			return nil, err
		}
		name := t.(string) // the decoder takes nothing else here
		v, err := r.value(join(path, name), depth)
		if err != nil {
			return nil, err
		}
		if met[name] {
			r.problems = append(r.problems, Problem{join(path, name), "it is given twice; keep one"})
			continue
		}
		met[name], o = true, append(o, member{name, v})
	}
	_, err := r.token()
	return o, err
}

func (r *documentReader) list(path string, depth int) (any, error) {
	list := []any{}
	for r.tokens.More() {
		v, err := r.value(fmt.Sprintf("%s[%d]", path, len(list)), depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := r.token()
	return list, err
}
