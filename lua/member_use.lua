-- member_use takes rounds from what a member has left: all that are asked for,
-- or none. A subject that never redeemed gets its trial with the first call,
-- where the caller may speak for it (sealed says who it is). The same proof
-- takes once.
--
-- uses history records members attempts
-- KEYS meta journal campaigns members subject_bucket
-- ARGV epoch seen bound subject rounds proof sealed
-- REPLY left seq version left
-- REPLY exhausted left
-- REPLY refused reason
-- REPLY breach what
local meta, journal, campaigns, members, subject_bucket = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, seen, bound, subject, rounds, proof, sealed = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local rules = read_member_rules(history.rules)
local m = find_member(members, campaigns, subject_bucket, subject)
local begins = not m or m.method == ''
if begins then
  if sealed == '' or rules.trial == 0 then
    return answer('refused', m and 'rounds_exhausted' or 'member_unknown')
  end
  m = m or read_member('')
  m.method, m.rounds = 't', int(rules.trial)
else
  sealed = ''
end
local function left_now()
  return told(rounds_left(m, rules, history.now))
end
local left = left_now()
if left == unlimited or has_proof(m, proof) then
  return answer('left', int(history.seq), int(history.version), left)
end
if tonumber(rounds) > tonumber(left) then
  return answer('exhausted', left)
end
if not read_rules(history.rules).open then
  return answer('refused', 'launch_closed')
end
if history.backlog > tonumber(bound) then
  return answer('refused', 'overloaded')
end

m.used = m.used + tonumber(rounds)
add_proof(m, proof)
append(history, journal, {member_line(subject, m, begins and 'trial' or 'used', rounds, '', '', sealed)})
redis.call('HSET', members, subject, write_member(m))
return answer('left', int(history.seq), int(history.version), left_now())
