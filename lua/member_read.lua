-- member_read shows a member as it is now, and how many rounds are left.
--
-- uses history records members
-- KEYS meta campaigns members subject_bucket
-- ARGV epoch seen subject
-- REPLY member seq version left record
-- REPLY refused reason
-- REPLY breach what
local meta, campaigns, members, subject_bucket = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, seen, subject = ARGV[1], ARGV[2], ARGV[3]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local m = find_member(members, campaigns, subject_bucket, subject)
if not m then
  return answer('refused', 'member_unknown')
end
local left = rounds_left(m, read_member_rules(history.rules), history.now)
return answer('member', int(history.seq), int(history.version), told(left), write_member(m))
