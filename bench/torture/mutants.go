package main

// nextRelease is what makes the gateway its next release, as far as the journal
// is concerned: it writes records of the next version, and reads both.
var nextRelease = []edit{
	{"gateway/event.go", "const RecordVersion = 1", "const RecordVersion = 2"},
	{"lua/lib/history.lua", "local head = table.concat({'1', seq", "local head = table.concat({'2', seq"},
}
