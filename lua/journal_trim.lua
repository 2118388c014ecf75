-- journal_trim notes what Postgres holds, and forgets what it has held for a
-- moment, never more: it refuses a position that the journal has not reached.
--
-- KEYS meta journal
-- ARGV epoch position bytes trim
-- REPLY trimmed
-- REPLY breach what
local meta, journal = KEYS[1], KEYS[2]
local epoch, position, bytes, trim = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local m = redis.call('HMGET', meta, 'epoch', 'seq', 'persisted')
if m[1] ~= epoch then
  return {'breach', 'epoch'}
end
if tonumber(position) > tonumber(m[2]) then
  return {'breach', 'position'}
end
if tonumber(position) >= tonumber(m[3]) then
  -- XTRIM first: Redis lets it through when it is out of memory, and after it
  -- the rest of the script. The other way round a full server stays full.
  redis.call('XTRIM', journal, 'MINID', string.format('%.0f', math.min(tonumber(trim), tonumber(position)) + 1) .. '-0')
  redis.call('HSET', meta, 'persisted', position, 'persisted_bytes', bytes)
end
return {'trimmed'}
