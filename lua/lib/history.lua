-- The launch's history: who may be served, and the one way to add to it.

-- int writes a whole number below 2^53 in full: Lua's own conversion would
-- turn a large one into 1.7e+15.
local function int(n)
  if n >= 0 and n < 1e9 and n % 1 == 0 then
    return '' .. n -- as good, and no format to read
  end
  return string.format('%.0f', n)
end

-- answer is a reply: a word, then words and whole numbers.
local function answer(word, ...)
  return {word, ...}
end

-- line is one item's answer within a batch's reply.
local function line(word, ...)
  return table.concat({word, ...}, '\t')
end

-- clock is Redis' time in milliseconds, the only one that decides; a launch in
-- rehearsal may be ahead of it.
local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- open_history reads the launch's state, or nil and the word of the breach: a
-- server with another epoch, or with a shorter history than the gateway has
-- seen, must not decide anything.
local function open_history(meta, epoch, seen)
  local m = redis.call('HMGET', meta, 'epoch', 'seq', 'version', 'persisted', 'bytes', 'persisted_bytes', 'rules', 'ahead', 'arrivals', 'waitlist')
  if m[1] ~= epoch then
    return nil, answer('breach', 'epoch')
  end
  local seq = tonumber(m[2])
  if seq < tonumber(seen) then
    return nil, answer('breach', 'position')
  end
  local ahead = tonumber(m[8]) or 0
  return {
    meta = meta,
    epoch = epoch,
    seq = seq,
    version = tonumber(m[3]),
    persisted = tonumber(m[4]),
    bytes = tonumber(m[5]),
    backlog = tonumber(m[5]) - tonumber(m[6]),
    rules = m[7],
    ahead = ahead,
    arrivals = tonumber(m[9]) or 0,
    waitlist = m[10],
    now = clock() + ahead,
  }
end

-- append writes one record of event lines to the journal and moves the
-- position. XADD is the first write of every script: Redis denies it when it
-- is out of memory, and then nothing at all has been written.
local function append(history, journal, events)
  local body = table.concat(events, '\n')
  history.seq = history.seq + 1
  history.bytes = history.bytes + #body + 64
  local seq, bytes = int(history.seq), int(history.bytes)
  local head = table.concat({'1', seq, history.epoch, int(history.now), bytes}, '\t')
  redis.call('XADD', journal, seq .. '-0', 'r', head .. '\n' .. body)
  redis.call('HSET', history.meta, 'seq', seq, 'bytes', bytes)
end
