-- waitlist_join decides a batch of joins, each in turn, and journals them in
-- one record. Who is on the list already is told so; asking that of an address
-- without its proof counts like a join. That count alone is not journalled: a
-- record for each question would be what the limit is there to prevent.
--
-- uses history records attempts waitlist
-- KEYS meta journal queue joins0 joins1
-- KEYS each entry_bucket referrer_bucket
-- ARGV epoch seen bound purpose
-- ARGV each key address proof vouched referrer source points joined sealed
-- REPLY decided seq version persisted now each
-- REPLY breach what
-- REPLY each joined priority referred at position total
-- REPLY each known status priority proof position total
-- REPLY each refused reason retry_ms
-- REPLY each failed why
local meta, journal, queue, joins0, joins1 = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, seen, bound, purpose = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local now, rules, waitlist = history.now, read_rules(history.rules), read_waitlist(history.waitlist)
local overloaded = history.backlog > tonumber(bound)
-- A gateway asserts what it answered and Redis may have lost: that somebody
-- joined at a time, in seconds, or with none that somebody was on the list.
-- Whoever joined then or later is known, also if they have left since.
local asserts = purpose == 'assert'

local items, entries, addresses, met = {}, {}, {}, {}
for i = 5, #ARGV do
  local item, at = {}, 4 + 2 * (i - 4)
  item.key, item.address, item.proof, item.vouched, item.referrer, item.source, item.points, item.joined, item.sealed =
    string.match(ARGV[i], '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$')
  item.points, item.joined = tonumber(item.points), tonumber(item.joined) or 0
  item.entry_bucket, item.referrer_bucket = KEYS[at], KEYS[at + 1]
  items[i - 4] = item
  if item.address ~= '' and not met[item.address] then
    met[item.address] = true
    addresses[#addresses + 1] = item.address
  end
end
local joins
if waitlist.address.n > 0 and #addresses > 0 then
  joins = open_turns({joins0, joins1}, waitlist.address.ms, now, function() return addresses end)
end
-- Joins of the whole launch are counted in windows that follow each other.
local per_launch = waitlist.launch
local window, joined_in_window = 0, 0
if per_launch.n > 0 then
  window = math.floor(now / per_launch.ms)
  local at, n = string.match(redis.call('HGET', meta, 'joins') or '', '^(%d+);(%d+)$')
  if tonumber(at) == window then
    joined_in_window = tonumber(n)
  end
end

local function entry_of(key, bucket)
  local e = entries[key]
  if not e then
    e = read_entry(redis.call('HGET', bucket, key) or nil)
    e.bucket = bucket
    entries[key] = e
  end
  return e
end

local events, arrivals, count = {}, history.arrivals, 0

local function too_many(item)
  return joins and blocked_for(joins, item.address, waitlist.address) or 0
end

local function refusal(item)
  if asserts then
    return nil
  end
  if not rules.open then
    return 'launch_closed'
  end
  if not waitlist.open then
    return 'waitlist_closed'
  end
  if overloaded then
    return 'overloaded', 1000
  end
  local wait = too_many(item)
  if wait > 0 then
    return 'joins_exceeded', wait
  end
  if per_launch.n > 0 and joined_in_window + count >= per_launch.n then
    return 'joins_exceeded', (window + 1) * per_launch.ms - now
  end
end

local function decide(item)
  local e = entry_of(item.key, item.entry_bucket)
  if e.arrival and (e.status == '' or e.status == 'i' or e.status == 'g' or (asserts and e.joined >= item.joined)) then
    local proven = item.vouched == '1' or (item.proof ~= '' and item.proof == e.proof)
    if joins and not proven and not asserts then
      local wait = too_many(item)
      if wait > 0 then
        return {'refused', 'joins_exceeded', int(wait)}
      end
      count_failure(joins, item.address, waitlist.address)
    end
    return {'known', entry_words[e.status], int(e.priority), e.proof}, item.key
  end
  local why, wait = refusal(item)
  if why then
    return {'refused', why, int(wait or 0)}
  end
  count = count + 1
  arrivals = arrivals + 1
  if joins then
    count_failure(joins, item.address, waitlist.address)
  end
  -- Who comes back goes to the end of the line; whom they were referred by, and
  -- that it has been counted, stays.
  local came_back = e.arrival ~= nil
  e.arrival, e.priority, e.status, e.joined, e.proof, e.boosts = arrivals, 0, '', math.floor(now / 1000), item.proof, ''
  e.code, e.expires, e.release, e.dirty = '', nil, '', true
  if item.points ~= 0 then
    boost(e, 's', item.points, now, item.source)
  end
  local r
  if not came_back and item.referrer ~= '' and item.referrer ~= item.key then
    r = entry_of(item.referrer, item.referrer_bucket)
    if r.arrival then
      e.referrer = item.referrer
    end
  end
  local referred = '0'
  if waitlist.confirm then
    e.flags = string.gsub(e.flags, 'u', '') .. 'u'
  elseif e.referrer ~= '' and r then
    e.flags, referred = e.flags .. 'c', '1'
    if waitlist.referred ~= 0 then
      boost(e, 'r', waitlist.referred, now, '')
    end
  end
  events[#events + 1] = table.concat({'joined', item.key, int(e.arrival), int(e.priority), item.source, int(item.points), e.referrer,
    e.flags, item.address, item.proof, e.boosts, item.sealed}, '\t')
  if referred == '1' then
    r.referrals, r.dirty = r.referrals + 1, true
    local points = r.status == '' and waitlist.referrer or 0
    if points ~= 0 then
      boost(r, 'f', points, now, '')
    end
    events[#events + 1] = table.concat({'boosted', e.referrer, 'f', int(points), int(r.priority), int(r.referrals), r.boosts, 'system', ''}, '\t')
  end
  return {'joined', int(e.priority), referred, int(e.joined)}, item.key
end

local replies, asked = {}, {}
for i, item in ipairs(items) do
  local ok, reply, key = pcall(decide, item)
  replies[i] = ok and reply or {line('failed', (string.gsub(tostring(reply), '%c', ' ')))}
  asked[i] = ok and key
end

-- Writing: from here on nothing is refused any more.
if #events > 0 then
  append(history, journal, events)
  local places = {}
  for key, e in pairs(entries) do
    if e.dirty then
      redis.call('HSET', e.bucket, key, write_entry(e))
      if e.status == '' then
        places[#places + 1] = score(e)
        places[#places + 1] = key
      end
    end
  end
  if #places > 0 then
    redis.call('ZADD', queue, unpack(places))
  end
  redis.call('HSET', meta, 'arrivals', int(arrivals))
  if per_launch.n > 0 then
    redis.call('HSET', meta, 'joins', int(window) .. ';' .. int(joined_in_window + count))
  end
end
if joins then
  save_turns(joins)
end

local total = int(redis.call('ZCARD', queue))
for i, reply in ipairs(replies) do
  if asked[i] then
    local rank = redis.call('ZRANK', queue, asked[i])
    reply[#reply + 1] = rank and int(rank + 1) or '0'
    reply[#reply + 1] = total
  end
  replies[i] = table.concat(reply, '\t')
end
return answer('decided', int(history.seq), int(history.version), int(history.persisted), int(now), table.concat(replies, '\n'))
