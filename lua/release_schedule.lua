-- release_schedule lets the policy's schedule run from now on, or pauses all
-- releases.
--
-- uses history
-- KEYS meta journal releases
-- ARGV epoch seen state actor note
-- REPLY put seq version now
-- REPLY refused reason
-- REPLY breach what
local meta, journal, releases = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, state, actor, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local was = redis.call('HGET', releases, '#schedule')
if was and string.match(was, '^%a+') == state then
  return answer('put', int(history.seq), int(history.version), int(history.now))
end
local now = int(history.now)
append(history, journal, {table.concat({'schedule', state, now, actor, note}, '\t')})
redis.call('HSET', releases, '#schedule', state .. ';' .. now)
return answer('put', int(history.seq), int(history.version), now)
