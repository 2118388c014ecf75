-- campaign_put makes a campaign (number 0) or changes one. The document comes
-- in two parts, between which a new campaign's number is written.
--
-- uses history
-- KEYS meta journal config campaigns
-- ARGV epoch seen expected number name rules head tail actor note
-- REPLY put seq version number
-- REPLY refused reason
-- REPLY breach what
local meta, journal, config, campaigns = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, seen, expected, number, name, rules, head, tail, actor, note =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
if expected ~= '0' and tonumber(expected) ~= history.version then
  return answer('refused', 'conflict')
end
local taken = redis.call('HGET', config, 'name:' .. name)
if taken and taken ~= number then
  return answer('refused', 'campaign_exists')
end
local old_name
if number == '0' then
  number = int((tonumber(redis.call('HGET', campaigns, '#')) or 0) + 1)
elseif redis.call('HEXISTS', campaigns, number) == 0 then
  return answer('refused', 'campaign_unknown')
else
  old_name = redis.call('HGET', config, 'named:' .. number)
end

local version = int(history.version + 1)
local document = head .. number .. tail
append(history, journal, {table.concat({'campaign', version, actor, note, document}, '\t')})
redis.call('HSET', meta, 'version', version)
if old_name then
  redis.call('HDEL', config, 'name:' .. old_name)
else
  redis.call('HSET', campaigns, '#', number, number .. 'u', '0')
end
redis.call('HSET', campaigns, number, rules)
redis.call('HSET', config, 'campaign:' .. number, document, 'name:' .. name, number, 'named:' .. number, name)
return answer('put', int(history.seq), version, number)
