-- member_change is what an operator or the member changes of a record: invites
-- granted, another tier, off the leaderboard or on it, or the person erased,
-- of whom the record keeps what the counts need. A member changes (by_member is
-- '1') so much a day; a preference that is so already is not written again.
--
-- uses history records members
-- KEYS meta journal campaigns members subject_bucket own
-- ARGV epoch seen subject change value actor note by_member
-- REPLY changed seq version left record
-- REPLY refused reason retry_ms
-- REPLY breach what
local meta, journal, campaigns, members, subject_bucket, own = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local epoch, seen, subject, change, value, actor, note, by_member = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local m = find_member(members, campaigns, subject_bucket, subject)
if not m and change == 'erased' and redis.call('HEXISTS', subject_bucket, subject) == 1 then
  m = read_member('') -- it held or lost a code, and left its name
end
if not m then
  return answer('refused', 'member_unknown', '0')
end
local function answer_changed()
  local left = rounds_left(m, read_member_rules(history.rules), history.now)
  return answer('changed', int(history.seq), int(history.version), told(left), write_member(m))
end
if change == 'private' and m.private == value then
  return answer_changed()
end
local o = by_member == '1' and open_own(own, subject, history.now) or nil
if o and o.full then
  return answer('refused', 'activities_exceeded', int(o.left_ms))
end
if change == 'granted' then
  m.allotment = plus(m.allotment, value)
elseif change == 'tier' then
  m.tier = value
elseif change == 'private' then
  m.private = value
else
  m.private, m.proofs = '1', ''
end

append(history, journal, {member_line(subject, m, change, value, actor, note)})
redis.call('HSET', members, subject, write_member(m))
if o then
  save_told(o, '=') -- no activity's name
end
return answer_changed()
