-- code_read shows one code's record with its campaign's rules.
--
-- uses history records
-- KEYS meta campaigns code_bucket
-- ARGV epoch seen code
-- REPLY code seq version campaign used held max expires refusal bound issued display
-- REPLY refused reason
-- REPLY breach what
local meta, campaigns, code_bucket = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, code = ARGV[1], ARGV[2], ARGV[3]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local packed = redis.call('HGET', code_bucket, code)
if not packed then
  return answer('refused', 'code_unknown')
end
local c = read_code(packed)
local v = redis.call('HMGET', campaigns, c.campaign, c.campaign .. 'u')
local campaign = read_campaign(v[1], v[2])
local why = code_refusal(c, campaign, history.now)
if not why and c.used >= (c.max or campaign.max) then
  why = 'code_exhausted'
end
return answer('code', int(history.seq), int(history.version), c.campaign, int(c.used), int(c.held), int(c.max or campaign.max),
  none_if_zero(c.expires), why or '', c.recipient ~= '' and string.byte(c.recipient) ~= 126 and '1' or '0', c.issuer ~= '' and '1' or '0', c.display)
