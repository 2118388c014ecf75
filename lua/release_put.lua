-- release_put makes a release: how many are to be let in, in which order. A
-- scheduled one is made once for its slot, whoever asks.
--
-- uses history records waitlist
-- KEYS meta journal releases
-- ARGV epoch seen id count order seed slot cap actor note
-- REPLY put seq version count
-- REPLY refused reason
-- REPLY breach what
local meta, journal, releases = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, id, count, order, seed = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local slot, cap, actor, note = ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local v = redis.call('HMGET', releases, id, '#scheduled', '#schedule')
if v[1] then
  return answer('refused', 'release_exists')
end
local r = {count = tonumber(count), done = 0, order = order, seed = seed, upto = history.arrivals, state = 'o', slot = slot, at = int(history.now)}
local scheduled = tonumber(v[2] or '0')
if slot ~= '' then
  local state, since = string.match(v[3] or '', '^(%a+);(%d+)')
  if state ~= 'on' or tonumber(slot) <= tonumber(since) then
    return answer('refused', 'schedule_paused')
  end
  if tonumber(cap) > 0 then
    r.count = math.min(r.count, tonumber(cap) - scheduled)
  end
  if r.count < 1 then
    return answer('refused', 'schedule_over')
  end
end

append(history, journal, {table.concat({'release', id, int(r.count), order, seed, int(r.upto), slot, actor, note}, '\t')})
redis.call('HSET', releases, id, write_release(r))
if slot ~= '' then
  redis.call('HSET', releases, '#scheduled', int(scheduled + r.count), '#schedule', 'on;' .. slot)
end
return answer('put', int(history.seq), int(history.version), int(r.count))
