-- member_active journals something that a member did, for the funnel. It
-- changes nothing else. What the member itself tells (by_member is '1') is
-- journalled once a day for each name.
--
-- uses history records members
-- KEYS meta journal members subject_bucket own
-- ARGV epoch seen bound subject name by_member
-- REPLY noted seq version
-- REPLY refused reason retry_ms
-- REPLY breach what
local meta, journal, members, subject_bucket, own = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, seen, bound, subject, name, by_member = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
if redis.call('HEXISTS', members, subject) == 0 and redis.call('HEXISTS', subject_bucket, subject) == 0 then
  return answer('refused', 'member_unknown', '0')
end
local o = by_member == '1' and open_own(own, subject, history.now) or nil
if o and has_told(o, name) then
  return answer('noted', int(history.seq), int(history.version))
end
if o and o.full then
  return answer('refused', 'activities_exceeded', int(o.left_ms))
end
if history.backlog > tonumber(bound) then
  return answer('refused', 'overloaded', '1000')
end
append(history, journal, {table.concat({'activity', subject, name}, '\t')})
if o then
  save_told(o, name)
end
return answer('noted', int(history.seq), int(history.version))
