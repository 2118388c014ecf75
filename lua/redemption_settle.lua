-- redemption_settle ends a hold (confirm, release, expire) or takes a committed
-- redemption back (rollback).
--
-- uses history records attempts waitlist members
-- KEYS meta journal campaigns holds members queue offers code_bucket subject_bucket entry_bucket
-- ARGV epoch seen settlement id subject code actor note
-- REPLY settled seq version status campaign
-- REPLY refused reason
-- REPLY breach what
local meta, journal, campaigns, holds, members, queue, offers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local code_bucket, subject_bucket, entry_bucket = KEYS[8], KEYS[9], KEYS[10]
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

local rules = read_member_rules(history.rules)
local c = read_code(redis.call('HGET', code_bucket, code))
local v = redis.call('HMGET', campaigns, r.campaign, r.campaign .. 'u', r.campaign .. 'p')
local campaign = read_campaign(v[1], v[2], v[3])
local from = r.status
local events = {table.concat({'settled', id, status_words[from], status_words[to], settlement, code, r.campaign, subject, actor, note}, '\t')}

-- The members that this concerns: the subject and who issued the code.
local v = redis.call('HMGET', members, subject, c.issuer)
local m, inviter = v[1] and read_member(v[1]), c.issuer ~= '' and read_member(v[2] or '') or nil
local max = c.max or campaign.max
local open = c.used - c.held < max
if from == 'h' then
  c.held = c.held - 1
end
if to ~= 'c' then
  c.used, campaign.used = c.used - 1, campaign.used - 1
end
local unpaced = to == 'r' and unpace(campaign, r.expires - read_rules(history.rules).hold_ms, history.now)
local counted = v[2] and campaign.personal and open ~= (c.used - c.held < max)
if counted then
  count_open(inviter, c.expires, open and -1 or 1)
end
r.status, r.expires = to, nil
local was_via = m and m.via == id
local joins = to == 'c' and (m or rules.grants or inviter)
local leaves = from == 'c' and m
if joins then
  if not m then
    local others = {}
    for _, other in ipairs(list) do
      others[#others + 1] = other.id ~= id and other or nil
    end
    local once_of = function(number)
      return read_campaign(redis.call('HGET', campaigns, number)).once
    end
    m = derive_member(others, once_of) or read_member('')
    m.made = m.made ~= '' and m.made or id
  end
  let_in(subject, m, r, c, campaign, inviter, rules, history.now, events)
elseif leaves then
  let_out(subject, m, r, inviter, rules, list, events)
end
if counted then
  events[#events + 1] = member_line(c.issuer, inviter, 'counted')
end

-- Whoever is in now waits no more; a subject that is an e-mail address has the
-- key of its entry.
local e
if settlement == 'confirm' and history.arrivals > 0 then
  e = read_entry(redis.call('HGET', entry_bucket, subject) or nil)
  if e.arrival and (e.status == '' or e.status == 'i') then
    events[#events + 1] = table.concat({'entry', subject, entry_words[e.status], 'registered', 'redeem', e.code, '0', '', 'system', ''}, '\t')
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
redis.call('HSET', campaigns, r.campaign .. 'u', int(campaign.used))
if unpaced then
  redis.call('HSET', campaigns, r.campaign .. 'p', campaign.paced)
end
redis.call('ZREM', holds, id)
if joins or leaves then
  redis.call('HSET', members, subject, write_member(m))
end
if inviter and (counted or was_via or (m and m.via == id)) then
  redis.call('HSET', members, c.issuer, write_member(inviter))
end
return answer('settled', int(history.seq), int(history.version), status_words[to], r.campaign)
