-- decide redeems one code for one subject, written for one request a call: as
-- few calls as the checks need.
--
-- KEYS code subjects attempts journal
-- ARGV code subject address id per_address per_subject
-- REPLY admitted id | again id | refused reason
local code, subjects, attempts, journal = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local text, subject, address, id, per_address, per_subject = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local before = redis.call('HGET', subjects, subject)
if before then
  if string.sub(before, 38) == text then
    return {'again', string.sub(before, 1, 36)}
  end
  return {'refused', 'already_redeemed'}
end
local now = tonumber(redis.call('TIME')[1])
local hour = math.floor(now / 3600)
local failed = redis.call('HMGET', attempts, 'hour', 'a' .. address, 's' .. subject)
if failed[1] ~= tostring(hour) then
  failed = {failed[1], false, false}
end
if tonumber(failed[2] or 0) >= tonumber(per_address) or tonumber(failed[3] or 0) >= tonumber(per_subject) then
  return {'refused', 'attempts_exceeded'}
end
local c = redis.call('HMGET', code, 'max', 'used', 'starts', 'ends', 'state')
if not c[1] then
  if failed[1] ~= tostring(hour) then
    redis.call('DEL', attempts)
    redis.call('HSET', attempts, 'hour', hour)
  end
  redis.call('HINCRBY', attempts, 'a' .. address, 1)
  redis.call('HINCRBY', attempts, 's' .. subject, 1)
  return {'refused', 'code_unknown'}
end
if c[5] then
  return {'refused', 'code_revoked'}
end
if c[3] and tonumber(c[3]) > now then
  return {'refused', 'code_not_started'}
end
if c[4] and tonumber(c[4]) <= now then
  return {'refused', 'code_expired'}
end
if tonumber(c[2] or 0) >= tonumber(c[1]) then
  return {'refused', 'code_exhausted'}
end
redis.call('XADD', journal, '*', 'r', table.concat({'redeemed', id, text, subject, address}, '\t'))
redis.call('HINCRBY', code, 'used', 1)
redis.call('HSET', subjects, subject, id .. ';' .. text)
return {'admitted', id}
