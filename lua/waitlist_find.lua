-- waitlist_find is an entry and its place in the line, as of one moment.
--
-- uses history
-- KEYS meta queue entry_bucket
-- ARGV epoch seen key
-- REPLY found seq version now entry position total
-- REPLY refused reason
-- REPLY breach what
local meta, queue, entry_bucket = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, key = ARGV[1], ARGV[2], ARGV[3]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local entry = redis.call('HGET', entry_bucket, key)
if not entry then
  return answer('refused', 'entry_unknown')
end
local rank = redis.call('ZRANK', queue, key)
return answer('found', int(history.seq), int(history.version), int(history.now), entry,
  rank and int(rank + 1) or '0', int(redis.call('ZCARD', queue)))
