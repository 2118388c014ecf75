package main

// nextRelease is what makes the gateway its next release, as far as the journal
// is concerned: it writes records of the next version, and reads both.
var nextRelease = []edit{
	{"gateway/event.go", "const RecordVersion = 1", "const RecordVersion = 2"},
	{"lua/lib/history.lua", "local head = table.concat({'1', seq", "local head = table.concat({'2', seq"},
}

// mutant is AdmitOne without one of its protections, and what must notice: a
// test, or a fault under which a promise breaks.
type mutant struct {
	name    string
	without string // in the words of docs/durability.md
	edits   []edit
	test    [2]string // package and -run
	faults  string    // for torture
	rounds  int       // of torture, at most
}

// mutants are the protections, each switched off.
var mutants = []mutant{
	{
		name: "retries", without: "a script is sent at most once",
		edits: []edit{{"lua/script.go", "func (once) NoRetry() bool { return true }", "func (once) NoRetry() bool { return false }"}},
		test:  [2]string{"./lua", "TestSentOnce"},
	},
	{
		name: "epoch", without: "a script refuses another epoch",
		edits: []edit{{"lua/lib/history.lua", "if m[1] ~= epoch then", "if not m[1] then"}},
		test:  [2]string{"./sync/heal", "TestAdopt"},
	},
	{
		name: "identity", without: "a run of a server is looked at before it is told a script",
		edits:  []edit{{"lua/identity.go", "if err == nil && id == run {", "if err == nil && id != \"\" {"}},
		faults: "redis-kill", rounds: 5,
	},
	{
		name: "editions", without: "a server knows a script for the run that was admitted, not for another",
		edits: []edit{{"lua/script.go", "	if run != \"\" {\n", "	if run == noIdentity {\n"}},
		test:  [2]string{"./lua", "TestEditions"},
	},
	{
		name: "unclaimed", without: "a gateway tells on which run it served a launch that is new to Postgres",
		edits: []edit{{"sync/heal/heal.go", "last.Epoch == c.redis.Epoch && last.Identity != c.identity {", "last.Epoch == c.redis.Epoch && c.identity == \"\" {"}},
		test:  [2]string{"./sync/heal", "TestUnclaimed"},
	},
	{
		name: "position", without: "a script refuses a history shorter than the gateway has seen",
		edits: []edit{{"lua/lib/history.lua", "if seq < tonumber(seen) then", "if seq < 0 then"}},
		test:  [2]string{"./lua", "TestWitness"},
	},
	{
		name: "adopt", without: "a history behind Postgres' is not carried on",
		edits:  []edit{{"lua/launch_adopt.lua", "if tonumber(m[2]) < tonumber(position) then", "if tonumber(m[2]) < 0 then"}},
		faults: "power-cut", rounds: 10,
	},
	{
		name: "witness", without: "a gateway tells a healed Redis again what it answered",
		edits:  []edit{{"lua/witness.go", "	l.flights.Unlock()\n	if len(list) == 0 {", "	l.flights.Unlock()\n	if len(list) >= 0 {"}},
		faults: "flushall,power-cut", rounds: 10,
	},
	{
		name: "flights", without: "an admission waits for answers on their way",
		edits: []edit{
			{"lua/witness.go", "	l.flights.Lock() // what is on its way lands first\n", ""},
			{"lua/witness.go", "	l.flights.Unlock()\n", ""},
		},
		test: [2]string{"./lua", "TestAdmissionWaits"},
	},
	{
		name: "vouchers", without: "the gateways wait for each other's witnesses",
		edits: []edit{{"sync/heal/heal.go", "open, err := h.tryVouch(ctx, v)\n", "open, err := h.tryVouch(ctx, v)\n\t\topen = err == nil\n"}},
		test:  [2]string{"./sync/heal", "TestWitnesses"},
	},
	{
		name: "later", without: "who waits for other gateways in an epoch that is over stops waiting",
		edits: []edit{{"sync/ledger/vouch.go", "if err == nil && later {", "if err == nil && later && v.Epoch == 0 {"}},
		test:  [2]string{"./sync/heal", "TestVouch"},
	},
	{
		name: "trim", without: "the journal is trimmed by what Postgres confirmed, not by length",
		edits:  []edit{{"lua/lib/history.lua", "redis.call('XADD', journal, seq .. '-0', 'r'", "redis.call('XADD', journal, 'MAXLEN', 50, seq .. '-0', 'r'"}},
		faults: "postgres-stop", rounds: 5,
	},
	{
		name: "bound", without: "the journal is bounded by refusing new work",
		edits: []edit{{"lua/redeem.lua", "local overloaded = history.backlog > tonumber(bound)", "local overloaded = false"}},
		test:  [2]string{"./sync/heal", "TestBound"},
	},
	{
		name: "oom", without: "a script's first write is one that a full Redis denies",
		edits: []edit{{"lua/redeem.lua", "  append(history, journal, events)\n", "  redis.call('HDEL', meta, '')\n  append(history, journal, events)\n"}},
		test:  [2]string{"./lua", "TestOutOfMemory"},
	},
	{
		name: "oom-trim", without: "trimming begins with a write that a full Redis lets through",
		edits: []edit{{"lua/journal_trim.lua", "  redis.call('XTRIM', journal,", "  redis.call('HSET', meta, 'persisted', position)\n  redis.call('XTRIM', journal,"}},
		test:  [2]string{"./lua", "TestOutOfMemory"},
	},
	{
		name: "ttl", without: "times decide, not the expiry of keys",
		edits: []edit{
			{"lua/lib/attempts.lua", "if at == turn or (half == 'last' and at == turn - 1) then", "if at ~= nil then"},
			{"lua/lib/attempts.lua", "if tonumber(t) > pair.now - ms then", "if tonumber(t) then"},
		},
		test: [2]string{"./lua", "TestClockDecides"},
	},
	{
		name: "persisted", without: "a persisted answer waits for Postgres",
		edits:  []edit{{"gateway/persisted.go", "reached, superseded, moved := l.epoch == epoch && l.position >= position,", "reached, superseded, moved := l.epoch <= epoch || l.position >= position,"}},
		faults: "redis-and-gateways", rounds: 10,
	},
	{
		name: "positions", without: "positions are compared within an epoch only",
		edits: []edit{{"gateway/persisted.go", "if epoch < l.epoch || epoch == l.epoch && position <= l.position {", "if position <= l.position {"}},
		test:  [2]string{"./gateway", "TestPersisted"},
	},
	{
		name: "ledger-fence", without: "rows and position move together, from where the writer thinks they are",
		edits: []edit{{"sync/ledger/apply.go", "AND epoch = $2 AND seq = $3\n		RETURNING launch", "AND ($2::bigint, $3::bigint) IS NOT NULL\n		RETURNING launch"}},
		test:  [2]string{"./sync/ledger", "TestFence"},
	},
	{
		name: "unsorted", without: "writers take the position first, and rows in order",
		edits: []edit{
			{
				"sync/ledger/apply.go", "		if err := a.move(ctx, b); err != nil {\n			return err\n		}\n		if err := a.events(ctx, placeAll(b.Records)); err != nil {",
				"		if err := tx.QueryRow(ctx, `SELECT id FROM launches WHERE name = $1`, b.Launch).Scan(&a.launch); err != nil {\n			return err\n		}\n		if err := a.events(ctx, placeAll(b.Records)); err != nil {",
			},
			{"sync/ledger/apply.go", "		return a.journal(ctx, b.Records)", "		if err := a.move(ctx, b); err != nil {\n			return err\n		}\n		return a.journal(ctx, b.Records)"},
			{"sync/ledger/redeem.go", "codes := slices.Sorted(maps.Keys(s.uses))", "codes := slices.Collect(maps.Keys(s.uses))"},
		},
		test: [2]string{"./sync/ledger", "TestWritersAtOnce"},
	},
	{
		name: "arbiter", without: "Postgres' constraints arbitrate",
		edits: []edit{{"sync/ledger/redeem.go", "(d.used <= 0 OR c.used + d.used <=\n			coalesce(", "(d.used <= 1000000 OR c.used + d.used <=\n			coalesce("}},
		test:  [2]string{"./sync/ledger", "TestConflicts"},
	},
	{
		name: "gap", without: "a gap stalls the journal",
		edits: []edit{{"sync/syncer/syncer.go", "if e.Seq != at.Seq+uint64(len(b.Records))+1 {", "if e.Seq == 0 {"}},
		test:  [2]string{"./sync/syncer", "TestStalls"},
	},
	{
		name: "lease", without: "a leader that hangs loses its lock",
		edits: []edit{{"sync/syncer/leader.go", "AND a.state_change < now() - $3::interval`", "AND a.state_change < now() - $3::interval - interval '1 year'`"}},
		test:  [2]string{"./sync/heal", "TestLeaderHangs"},
	},
	{
		name: "step-aside", without: "a leader that meets records of a newer version steps aside",
		edits:  []edit{{"sync/syncer/syncer.go", "if aside || time.Since(began) > insist {", "if began.IsZero() {"}},
		faults: "rolling-upgrade", rounds: 8,
	},
	{
		name: "purchases", without: "a purchase is answered once Postgres holds it",
		edits: []edit{{"gateway/edge/purchase.go", "	if !q.lasts(e.Epoch, e.Position) {\n		return &gateway.Error{Reason: gateway.Unavailable", "	if e.Position > 1<<62 {\n		return &gateway.Error{Reason: gateway.Unavailable"}},
		test:  [2]string{"./gateway/edge", "TestPurchases"},
	},
	{
		name: "rewarded", without: "a reward that is paid is not paid again",
		edits:  []edit{{"lua/purchase.lua", "local ready = e.status == 'r'", "local ready = e.status == 'd' or e.status == 'r'"}},
		faults: "none", rounds: 1,
	},
	{
		name: "verify", without: "verify compares codes",
		edits: []edit{{"sync/heal/verify.go", "			if one.Moving {", "			if one.Moving || one.Kind == \"code\" {"}},
		test:  [2]string{"./sync/heal", "TestVerifyFinds"},
	},
}
