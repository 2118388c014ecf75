-- member_change is what an operator or the member changes of a record: invites
-- granted, another tier, off the leaderboard or on it, or the person erased,
-- of whom the record keeps what the counts need.
--
-- uses history records members
-- KEYS meta journal campaigns members subject_bucket
-- ARGV epoch seen subject change value actor note
-- REPLY changed seq version left record
-- REPLY refused reason
-- REPLY breach what
local meta, journal, campaigns, members, subject_bucket = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, seen, subject, change, value, actor, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local m = find_member(members, campaigns, subject_bucket, subject)
if not m and change == 'erased' and redis.call('HEXISTS', subject_bucket, subject) == 1 then
  m = read_member('') -- it held or lost a code, and left its name
end
if not m then
  return answer('refused', 'member_unknown')
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
local left = rounds_left(m, read_member_rules(history.rules), history.now)
return answer('changed', int(history.seq), int(history.version), told(left), write_member(m))
