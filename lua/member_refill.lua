-- member_refill tops members up as the policy says, as its schedule does for
-- many together.
--
-- uses history records members
-- KEYS meta journal members
-- ARGV epoch seen bound
-- ARGV each subject
-- REPLY refilled seq version count
-- REPLY refused reason
-- REPLY breach what
local meta, journal, members = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, bound = ARGV[1], ARGV[2], ARGV[3]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
if history.backlog > tonumber(bound) then
  return answer('refused', 'overloaded')
end
local rules, events, writes = read_member_rules(history.rules), {}, {}
for i = 4, #ARGV do
  local subject = ARGV[i]
  local packed = redis.call('HGET', members, subject)
  local m = packed and read_member(packed)
  local n = m and refill(m, rules, history.now) or 0
  if n > 0 then
    m.refilled = int(history.now)
    events[#events + 1] = member_line(subject, m, 'refilled', int(n))
    writes[#writes + 1] = {subject, write_member(m)}
  end
end
if #events > 0 then
  append(history, journal, events)
  for _, w in ipairs(writes) do
    redis.call('HSET', members, w[1], w[2])
  end
end
return answer('refilled', int(history.seq), int(history.version), int(#events))
