-- release_step makes the next offers of a release to the candidates given, each
-- with a code of its own. By priority, only who stands at the front of the line
-- now is let in; by lottery, whoever of the candidates still waits.
--
-- uses history records waitlist
-- KEYS meta journal queue offers releases
-- KEYS each entry_bucket code_bucket
-- ARGV epoch seen release campaign expires_ms
-- ARGV each key code display written recipient
-- REPLY stepped seq version made left
-- REPLY refused reason
-- REPLY breach what
local meta, journal, queue, offers, releases = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, seen, release, campaign, expires_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local v = redis.call('HMGET', releases, release, '#schedule')
if not v[1] then
  return answer('refused', 'release_unknown')
end
if v[2] and string.sub(v[2], 1, 3) ~= 'on;' then
  return answer('refused', 'schedule_paused')
end
local r = read_release(v[1])
local left = r.state == 'o' and r.count - r.done or 0

local items, by_key, order = {}, {}, {}
for i = 6, #ARGV do
  local item, at = {}, 4 + 2 * (i - 5)
  item.key, item.code, item.display, item.written, item.recipient = string.match(ARGV[i], '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$')
  item.entry_bucket, item.code_bucket = KEYS[at], KEYS[at + 1]
  items[#items + 1], by_key[item.key] = item, item
end
if r.order == 'lottery' then
  for _, item in ipairs(items) do
    local at = redis.call('ZSCORE', queue, item.key)
    if at and tonumber(at) % 4294967296 <= r.upto then
      order[#order + 1] = item
    end
  end
elseif left > 0 then
  for _, key in ipairs(redis.call('ZRANGE', queue, 0, math.min(left, #items) - 1)) do
    if not by_key[key] then
      break -- the line has changed since the candidates were read
    end
    order[#order + 1] = by_key[key]
  end
end

local events, made, gone, due = {}, {}, {}, {}
local expires = history.now + tonumber(expires_ms)
if tonumber(expires_ms) == 0 then
  expires = history.now + 3650 * 86400000
end
for _, item in ipairs(order) do
  if #made >= left or redis.call('HEXISTS', item.code_bucket, item.code) == 1 then
    break
  end
  local e = read_entry(redis.call('HGET', item.entry_bucket, item.key))
  e.status, e.code, e.expires, e.release = 'i', item.code, expires, release
  item.entry = e
  item.record = write_code({campaign = campaign, state = '', expires = expires, recipient = item.recipient, issuer = '', display = item.display})
  made[#made + 1] = item
  gone[#gone + 1] = item.key
  due[#due + 1] = int(expires)
  due[#due + 1] = item.key
  events[#events + 1] = table.concat({'offered', release, item.key, item.code, item.written, campaign, int(expires), item.recipient}, '\t')
end
r.done, left = r.done + #made, left - #made
-- A release ends when its count is reached, or when nobody is left to let in.
local over = r.state == 'o' and (left < 1 or #items == 0)
if over then
  r.state, left = 'd', 0
  events[#events + 1] = table.concat({'released', release, int(r.done)}, '\t')
end
if #events > 0 then
  append(history, journal, events)
  for _, item in ipairs(made) do
    redis.call('HSET', item.entry_bucket, item.key, write_entry(item.entry))
    redis.call('HSET', item.code_bucket, item.code, item.record)
  end
  if #gone > 0 then
    redis.call('ZREM', queue, unpack(gone))
    redis.call('ZADD', offers, unpack(due))
  end
  redis.call('HSET', releases, release, write_release(r))
end
return answer('stepped', int(history.seq), int(history.version), int(#made), int(left))
