package gateway

import "slices"

// Nearest is the known word that a misspelt one may have been meant to be; ""
// if none is near.
func Nearest(word string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	word = word[:min(len(word), 40)]
	nearest := slices.MinFunc(known, func(a, b string) int { return edits(word, a) - edits(word, b) })
	if edits(word, nearest) > min(max(2, len(nearest)/3), len(nearest)-1) {
		return ""
	}
	return nearest
}

// edits is the Levenshtein distance of two short words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
