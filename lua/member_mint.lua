-- member_mint mints invites from a member's allotment, all of them or none: a
-- member that the policy refills is topped up first. The same proof mints once.
-- codes are the journal's words for the codes that come behind it.
--
-- uses history records members attempts
-- KEYS meta journal campaigns members subject_bucket
-- KEYS each code_bucket
-- ARGV epoch seen bound subject campaign expires proof codes
-- ARGV each code record
-- REPLY minted seq version allotment
-- REPLY again seq version allotment
-- REPLY exist index
-- REPLY refused reason retry_ms
-- REPLY breach what
local meta, journal, campaigns, members, subject_bucket = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, seen, bound, subject, campaign, expires, proof, codes = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local rules, now = read_member_rules(history.rules), history.now
local m = find_member(members, campaigns, subject_bucket, subject)
if not m or not is_in(m) then
  return answer('refused', 'member_unknown', '0')
end
if has_proof(m, proof) then
  return answer('again', int(history.seq), int(history.version), told(m.allotment))
end
if not read_rules(history.rules).open then
  return answer('refused', 'launch_closed', '0')
end
if history.backlog > tonumber(bound) then
  return answer('refused', 'overloaded', '1000')
end
if redis.call('HEXISTS', campaigns, campaign) == 0 then
  return answer('refused', 'campaign_unknown', '0')
end
local count, today = #ARGV - 8, day_of(now)
if m.day ~= today then
  m.day, m.minted = today, 0
end
if rules.per_day > 0 and m.minted + count > rules.per_day then
  return answer('refused', 'invites_per_day_exceeded', int((today + 1) * 86400000 - now))
end
refill(m, rules, now)
if m.allotment ~= unlimited and (tonumber(m.allotment) or 0) < count then
  return answer('refused', 'allotment_exhausted', '0')
end
local writes, exist, met = {}, {}, {}
for i = 9, #ARGV do
  local code, record = string.match(ARGV[i], '^([^\t]*)\t([^\t]*)$')
  local code_bucket = KEYS[i - 3]
  if met[code] or redis.call('HEXISTS', code_bucket, code) == 1 then
    exist[#exist + 1] = int(i - 9)
  end
  met[code] = true
  writes[#writes + 1] = {code_bucket, code, record}
end
if #exist > 0 then
  return answer('exist', unpack(exist))
end

m.minted = m.minted + count
m.allotment = plus(m.allotment, -count)
count_open(m, tonumber(expires), count)
add_proof(m, proof)
append(history, journal, {codes, member_line(subject, m, 'minted', int(count))})
for _, w in ipairs(writes) do
  redis.call('HSET', w[1], w[2], w[3])
end
redis.call('HSET', members, subject, write_member(m))
return answer('minted', int(history.seq), int(history.version), told(m.allotment))
