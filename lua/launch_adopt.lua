-- launch_adopt lets a history go on under a new epoch: the server was
-- restarted or promoted, and holds at least what Postgres does.
--
-- KEYS meta
-- ARGV epoch position next_epoch
-- REPLY adopted seq
-- REPLY breach what
local meta = KEYS[1]
local epoch, position, next_epoch = ARGV[1], ARGV[2], ARGV[3]

local m = redis.call('HMGET', meta, 'epoch', 'seq')
if m[1] == next_epoch then
  return {'adopted', m[2]}
end
if m[1] ~= epoch then
  return {'breach', 'epoch'}
end
if tonumber(m[2]) < tonumber(position) then
  return {'breach', 'position'}
end
-- HDEL deletes nothing: it is a write that Redis lets through when it is out of
-- memory, and then the next one too. A full server has to be let in, or its
-- journal is never trimmed.
redis.call('HDEL', meta, '')
redis.call('HSET', meta, 'epoch', next_epoch)
return {'adopted', m[2]}
