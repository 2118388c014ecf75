-- codes_change revokes, reinstates or renews codes, all of them or none.
--
-- uses history records members
-- KEYS meta journal campaigns members
-- KEYS each code_bucket
-- ARGV epoch seen change expires actor note
-- ARGV each code
-- REPLY changed seq version
-- REPLY unknown index
-- REPLY breach what
local meta, journal, campaigns, members = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, seen, change, expires, actor, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end

local codes, names, unknown, issuers = {}, {}, {}, {}

-- recount tells the record of who minted a code whether it can still be used.
local function recount(c, n)
  local v = n ~= 0 and redis.call('HMGET', campaigns, c.campaign, c.campaign .. 'u')
  local campaign = v and read_campaign(v[1], v[2])
  if not campaign or not campaign.personal or c.used - c.held >= (c.max or campaign.max) then
    return
  end
  local m = issuers[c.issuer]
  if not m then
    local packed = redis.call('HGET', members, c.issuer)
    if not packed then
      return
    end
    m = read_member(packed)
    issuers[c.issuer] = m
  end
  count_open(m, c.expires, n)
end

for i = 7, #ARGV do
  local code_bucket, code = KEYS[i - 2], ARGV[i]
  local packed = redis.call('HGET', code_bucket, code)
  if not packed then
    unknown[#unknown + 1] = int(i - 7)
  else
    local c = read_code(packed)
    recount(c, c.issuer ~= '' and c.state == '' and -1 or 0)
    if change == 'revoked' then
      c.state = 'r'
    elseif change == 'reinstated' then
      c.state = ''
    else
      c.expires = tonumber(expires)
    end
    recount(c, c.issuer ~= '' and c.state == '' and 1 or 0)
    codes[#codes + 1] = {code_bucket, code, write_code(c)}
    names[#names + 1] = code
  end
end
if #unknown > 0 then
  return answer('unknown', unpack(unknown, 1, math.min(#unknown, 1000)))
end

local events = {table.concat({'changed', change, expires, actor, note, table.concat(names, ',')}, '\t')}
for issuer, m in pairs(issuers) do
  events[#events + 1] = member_line(issuer, m, 'counted')
end
append(history, journal, events)
for issuer, m in pairs(issuers) do
  redis.call('HSET', members, issuer, write_member(m))
end
for _, c in ipairs(codes) do
  redis.call('HSET', c[1], c[2], c[3])
end
return answer('changed', int(history.seq), int(history.version))
