-- launch_clock sets a launch's clock ahead of Redis' own, so that a rehearsal
-- plays weeks in minutes. It never goes back.
--
-- uses history
-- KEYS meta journal config
-- ARGV epoch seen ahead actor note
-- REPLY put seq version
-- REPLY refused reason
-- REPLY breach what
local meta, journal, config = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen, ahead, actor, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
if tonumber(ahead) < history.ahead then
  return answer('refused', 'conflict')
end

local version = int(history.version + 1)
append(history, journal, {table.concat({'clock', version, ahead, actor, note}, '\t')})
redis.call('HSET', meta, 'version', version, 'ahead', ahead)
redis.call('HSET', config, 'ahead', ahead)
return answer('put', int(history.seq), version)
