-- codes_mint brings codes into being, all of them or none.
--
-- uses history
-- KEYS meta journal campaigns
-- KEYS each code_bucket
-- ARGV epoch seen bound campaign events
-- ARGV each code record
-- REPLY minted seq version
-- REPLY exist index
-- REPLY refused reason
-- REPLY breach what
local meta, journal, campaigns = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, bound, campaign, events = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
if history.backlog > tonumber(bound) then
  return answer('refused', 'overloaded')
end
if redis.call('HEXISTS', campaigns, campaign) == 0 then
  return answer('refused', 'campaign_unknown')
end

local codes, exist, met = {}, {}, {}
for i = 6, #ARGV do
  local code, record = string.match(ARGV[i], '^([^\t]*)\t([^\t]*)$')
  local code_bucket = KEYS[i - 2]
  if met[code] or redis.call('HEXISTS', code_bucket, code) == 1 then
    exist[#exist + 1] = int(i - 6)
  end
  met[code] = true
  codes[#codes + 1] = {code_bucket, code, record}
end
if #exist > 0 then
  return answer('exist', unpack(exist, 1, math.min(#exist, 1000)))
end

append(history, journal, {events})
for _, c in ipairs(codes) do
  redis.call('HSET', c[1], c[2], c[3])
end
return answer('minted', int(history.seq), int(history.version))
