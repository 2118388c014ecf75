-- member_revoke takes back an invite that the member issued and nobody has
-- used: it goes back to the allotment, but for one that has expired where the
-- policy refills. One that is revoked already stays so.
--
-- uses history records members
-- KEYS meta journal campaigns members subject_bucket code_bucket
-- ARGV epoch seen subject code
-- REPLY revoked seq version allotment
-- REPLY refused reason
-- REPLY breach what
local meta, journal, campaigns, members, subject_bucket, code_bucket = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local epoch, seen, subject, code = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local m = find_member(members, campaigns, subject_bucket, subject)
local packed = redis.call('HGET', code_bucket, code)
local c = packed and read_code(packed)
-- Another member's code does not exist for this one.
if not m or not c or c.issuer ~= subject then
  return answer('refused', 'code_unknown')
end
if c.state == 'r' then
  return answer('revoked', int(history.seq), int(history.version), told(m.allotment))
end
if c.used > 0 then
  return answer('refused', 'code_exhausted')
end
c.state = 'r'
local campaign = read_campaign(redis.call('HGET', campaigns, c.campaign))
if campaign.personal then
  count_open(m, c.expires, -1)
  local replaced = c.expires and history.now >= c.expires and read_member_rules(history.rules).refill_to > 0
  m.allotment = replaced and m.allotment or plus(m.allotment, 1)
end

append(history, journal, {
  table.concat({'changed', 'revoked', '', 'member', '', code}, '\t'),
  member_line(subject, m, 'revoked', code),
})
redis.call('HSET', code_bucket, code, write_code(c))
redis.call('HSET', members, subject, write_member(m))
return answer('revoked', int(history.seq), int(history.version), told(m.allotment))
