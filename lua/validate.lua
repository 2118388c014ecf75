-- validate says of each code in a batch whether it could be redeemed, without
-- using it. A guess that fails counts as an attempt of its address; where
-- refusals are opaque, so does every code that cannot be redeemed.
--
-- uses history records attempts
-- KEYS meta journal campaigns attempts0 attempts1
-- KEYS each code_bucket
-- ARGV epoch seen bound
-- ARGV each code address
-- REPLY decided seq version persisted now each
-- REPLY breach what
-- REPLY each valid campaign remaining expires display
-- REPLY each refused reason retry_ms
local meta, journal, campaigns, attempts0, attempts1 = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, seen, bound = ARGV[1], ARGV[2], ARGV[3]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local now, rules = history.now, read_rules(history.rules)
local overloaded = history.backlog > tonumber(bound)

local items, people, met = {}, {}, {}
for i = 4, #ARGV do
  local item = {}
  item.code, item.address = string.match(ARGV[i], '^([^\t]*)\t([^\t]*)$')
  item.code_bucket = KEYS[2 + i]
  items[i - 3] = item
  if item.address ~= '' and not met[item.address] then
    met[item.address] = true
    people[#people + 1] = 'a' .. item.address
  end
end
local attempts = open_attempts(rules, attempts0, attempts1, now, function() return people end)

-- validity is the refusal of a code and how long waiting helps, or nil, the
-- code and its campaign.
local function validity(item)
  if not rules.open then
    return 'launch_closed'
  end
  local wait = attempts_blocked(attempts, rules, item.address, '')
  if wait > 0 then
    return 'attempts_exceeded', wait
  end
  local packed = redis.call('HGET', item.code_bucket, item.code)
  if not packed then
    return 'code_unknown'
  end
  local c = read_code(packed)
  local v = redis.call('HMGET', campaigns, c.campaign, c.campaign .. 'u')
  local campaign = read_campaign(v[1], v[2])
  local why = code_refusal(c, campaign, now)
  if why then
    return why, why == 'code_not_started' and campaign.starts - now or 0
  end
  if campaign.cap > 0 and campaign.used >= campaign.cap then
    return 'campaign_full'
  end
  if uses_left(c, campaign) < 1 then
    return 'code_exhausted'
  end
  return nil, nil, c, campaign
end

local replies, events = {}, {}
for i, item in ipairs(items) do
  local why, wait, c, campaign = validity(item)
  if not why then
    local expires = math.min(c.expires or math.huge, campaign.ends or math.huge)
    replies[i] = line('valid', c.campaign, int(uses_left(c, campaign)), expires < math.huge and int(expires) or '', c.display)
  else
    if why == 'code_unknown' or (rules.opaque and why ~= 'launch_closed' and why ~= 'attempts_exceeded') then
      if overloaded then
        why, wait = 'overloaded', 1000
      elseif attempts_failed(attempts, rules, item.address, '') then
        events[#events + 1] = table.concat({'refused', why, '1', 'validate', item.code, '', item.address}, '\t')
      end
    end
    replies[i] = line('refused', why, int(wait or 0))
  end
end

if #events > 0 then
  append(history, journal, events)
  save_turns(attempts)
end
return answer('decided', int(history.seq), int(history.version), int(history.persisted), int(now), table.concat(replies, '\n'))
