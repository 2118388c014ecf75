-- member_active journals something that a member did, for the funnel. It
-- changes nothing else.
--
-- uses history
-- KEYS meta journal members subject_bucket
-- ARGV epoch seen bound subject name
-- REPLY noted seq version
-- REPLY refused reason
-- REPLY breach what
local meta, journal, members, subject_bucket = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, seen, bound, subject, name = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
if redis.call('HEXISTS', members, subject) == 0 and redis.call('HEXISTS', subject_bucket, subject) == 0 then
  return answer('refused', 'member_unknown')
end
if history.backlog > tonumber(bound) then
  return answer('refused', 'overloaded')
end
append(history, journal, {table.concat({'activity', subject, name}, '\t')})
return answer('noted', int(history.seq), int(history.version))
