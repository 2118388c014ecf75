-- redemption_settle ends a hold (confirm, release, expire) or takes a committed
-- redemption back (rollback).
--
-- uses history records waitlist
-- KEYS meta journal campaigns holds queue offers code_bucket subject_bucket entry_bucket
-- ARGV epoch seen settlement id subject code actor note
-- REPLY settled seq version status campaign
-- REPLY refused reason
-- REPLY breach what
local meta, journal, campaigns, holds, queue, offers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local code_bucket, subject_bucket, entry_bucket = KEYS[7], KEYS[8], KEYS[9]
local epoch, seen, settlement, id, subject, code, actor, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end

local packed = redis.call('HGET', subject_bucket, subject)
local list = packed and read_subject(packed) or {}
local r
for _, each in ipairs(list) do
  if each.id == id then
    r = each
  end
end
if not r then
  return answer('refused', 'redemption_unknown')
end

local to = ({confirm = 'c', release = 'r', expire = 'r', rollback = 'b'})[settlement]
if r.status == to then
  return answer('settled', int(history.seq), int(history.version), status_words[to], r.campaign)
end
if settlement == 'rollback' then
  if r.status ~= 'c' then
    return answer('refused', 'not_committed')
  end
else
  if r.status ~= 'h' then
    return answer('refused', 'not_held')
  end
  local over = history.now >= r.expires
  if settlement == 'confirm' and over then
    return answer('refused', 'hold_expired')
  end
  if settlement == 'expire' and not over then
    return answer('refused', 'conflict')
  end
end

local c = read_code(redis.call('HGET', code_bucket, code))
local v = redis.call('HMGET', campaigns, r.campaign, r.campaign .. 'u')
local used = tonumber(v[2])
local from = r.status
if from == 'h' then
  c.held = c.held - 1
end
if to ~= 'c' then
  c.used, used = c.used - 1, used - 1
end
r.status, r.expires = to, nil

-- Whoever is in now waits no more; a subject that is an e-mail address has the
-- key of its entry.
local events = {table.concat({'settled', id, status_words[from], status_words[to], settlement, code, r.campaign, subject, actor, note}, '\t')}
local e
if settlement == 'confirm' and history.arrivals > 0 then
  e = read_entry(redis.call('HGET', entry_bucket, subject) or nil)
  if e.arrival and (e.status == '' or e.status == 'i') then
    events[2] = table.concat({'entry', subject, entry_words[e.status], 'registered', 'redeem', e.code, '0', '', 'system', ''}, '\t')
  else
    e = nil
  end
end
append(history, journal, events)
if e then
  if e.status == 'i' then
    redis.call('ZADD', offers, '0', subject)
  end
  e.status = 'g'
  redis.call('HSET', entry_bucket, subject, write_entry(e))
  redis.call('ZREM', queue, subject)
end
local offered_to = string.match(c.recipient, '^~(.*)$')
if offered_to and to == 'c' then
  redis.call('ZADD', offers, '0', offered_to)
end
redis.call('HSET', code_bucket, code, write_code(c))
redis.call('HSET', subject_bucket, subject, write_subject(list))
redis.call('HSET', campaigns, r.campaign .. 'u', int(used))
redis.call('ZREM', holds, id)
return answer('settled', int(history.seq), int(history.version), status_words[to], r.campaign)
