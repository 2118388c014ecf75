-- attempts counts guesses of codes that cannot exist against whoever made them,
-- and answers them as redeem and validate would. The gateway has looked at the
-- codes already.
--
-- uses history attempts
-- KEYS meta journal attempts0 attempts1
-- ARGV epoch seen bound
-- ARGV each verb code subject address
-- REPLY decided seq version persisted now each
-- REPLY breach what
-- REPLY each refused reason address_ms subject_ms
local meta, journal, attempts0, attempts1 = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, seen, bound = ARGV[1], ARGV[2], ARGV[3]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local now, rules = history.now, read_rules(history.rules)
local overloaded = history.backlog > tonumber(bound)

-- Under a flood the audit trail gets this many guesses of each call; all of
-- them are counted.
local most_told = 16

local items, people, met = {}, {}, {}
for i = 4, #ARGV do
  local verb, code, subject, address = string.match(ARGV[i], '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$')
  items[i - 3] = {
    verb = verb, code = code, subject = subject, address = address,
    as_subject = subject ~= '' and 's' .. subject or '', as_address = address ~= '' and 'a' .. address or '',
  }
  for _, who in ipairs({items[i - 3].as_subject, items[i - 3].as_address}) do
    if who ~= '' and not met[who] then
      met[who] = true
      people[#people + 1] = who
    end
  end
end
local attempts = open_attempts(rules, attempts0, attempts1, now, function() return people end)

local events = {}

-- waits are how long the item's address and subject have to wait now.
local function waits(item)
  if not attempts then
    return 0, 0
  end
  return blocked_for(attempts, item.as_address, rules.address), blocked_for(attempts, item.as_subject, rules.subject)
end

local function decide(item)
  if not rules.open then
    return line('refused', 'launch_closed', '0', '0')
  end
  if overloaded then
    return line('refused', 'overloaded', '0', '0')
  end
  local address_ms, subject_ms = waits(item)
  if address_ms > 0 or subject_ms > 0 then
    return line('refused', 'attempts_exceeded', int(address_ms), int(subject_ms))
  end
  if attempts_failed(attempts, rules, item.address, item.subject) and #events < most_told then
    events[#events + 1] = table.concat({'refused', 'code_unknown', '1', item.verb, item.code, item.subject, item.address}, '\t')
  end
  address_ms, subject_ms = waits(item)
  return line('refused', 'code_unknown', int(address_ms), int(subject_ms))
end

local replies = {}
for i, item in ipairs(items) do
  replies[i] = decide(item)
end
if #events > 0 then
  append(history, journal, events)
  save_turns(attempts)
end
return answer('decided', int(history.seq), int(history.version), int(history.persisted), int(now), table.concat(replies, '\n'))
