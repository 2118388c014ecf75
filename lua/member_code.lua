-- member_code gives a member its referral code: the one it has, or the one
-- proposed, which is minted then. Who has redeemed nothing gets one too, where
-- the caller may speak for it (sealed says who it is).
--
-- uses history records members attempts
-- KEYS meta journal campaigns members subject_bucket code_bucket
-- ARGV epoch seen bound subject campaign code record codes sealed
-- REPLY code seq version code
-- REPLY exist index
-- REPLY refused reason
-- REPLY breach what
local meta, journal, campaigns, members, subject_bucket, code_bucket = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local epoch, seen, bound, subject, campaign, code, record, codes, sealed =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local m = find_member(members, campaigns, subject_bucket, subject)
if m and m.code ~= '' then
  return answer('code', int(history.seq), int(history.version), m.code)
end
if sealed == '' and not (m and is_in(m)) then
  return answer('refused', 'member_unknown')
end
if not read_rules(history.rules).open then
  return answer('refused', 'launch_closed')
end
if history.backlog > tonumber(bound) then
  return answer('refused', 'overloaded')
end
if redis.call('HEXISTS', campaigns, campaign) == 0 then
  return answer('refused', 'campaign_unknown')
end
if redis.call('HEXISTS', code_bucket, code) == 1 then
  return answer('exist', '0')
end
if m then
  sealed = ''
end
m = m or read_member('')
m.code = code

append(history, journal, {codes, member_line(subject, m, 'code', code, '', '', sealed)})
redis.call('HSET', code_bucket, code, record)
redis.call('HSET', members, subject, write_member(m))
return answer('code', int(history.seq), int(history.version), code)
