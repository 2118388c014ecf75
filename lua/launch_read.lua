-- launch_read is a launch's state and configuration as of one moment.
--
-- KEYS meta config
-- REPLY launch epoch seq version persisted bytes persisted_bytes fields
-- REPLY none
local meta, config = KEYS[1], KEYS[2]

local m = redis.call('HMGET', meta, 'epoch', 'seq', 'version', 'persisted', 'bytes', 'persisted_bytes')
if not m[1] then
  return {'none'}
end
local reply = {'launch', m[1], m[2], m[3], m[4], m[5], m[6]}
for _, word in ipairs(redis.call('HGETALL', config)) do
  reply[#reply + 1] = word
end
return reply
