-- launch_put makes a launch, or changes its policy or whether it is open.
--
-- uses history
-- KEYS meta journal config
-- ARGV epoch seen expected rules waitlist open actor note policy
-- REPLY put seq version
-- REPLY refused reason
-- REPLY breach what
local meta, journal, config = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, expected, rules, waitlist = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local open, actor, note, policy = ARGV[6], ARGV[7], ARGV[8], ARGV[9]

local history
if expected == 'new' then
  if redis.call('EXISTS', meta) == 1 then
    return answer('refused', 'launch_exists')
  end
  history = {meta = meta, epoch = epoch, seq = 0, bytes = 0, version = 0, now = clock()}
else
  local breach
  history, breach = open_history(meta, epoch, seen)
  if not history then
    return breach
  end
  if expected ~= '0' and tonumber(expected) ~= history.version then
    return answer('refused', 'conflict')
  end
end

local version = int(history.version + 1)
append(history, journal, {table.concat({'launch', version, open, actor, note, policy}, '\t')})
redis.call('HSET', meta, 'version', version, 'rules', rules, 'waitlist', waitlist, 'epoch', epoch)
if expected == 'new' then
  redis.call('HSET', meta, 'persisted', '0', 'persisted_bytes', '0')
end
redis.call('HSET', config, 'policy', policy, 'open', open)
return answer('put', int(history.seq), version)
