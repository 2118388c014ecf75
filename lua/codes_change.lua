-- codes_change revokes, reinstates or renews codes, all of them or none.
--
-- uses history records
-- KEYS meta journal
-- KEYS each code_bucket
-- ARGV epoch seen change expires actor note
-- ARGV each code
-- REPLY changed seq version
-- REPLY unknown index
-- REPLY breach what
local meta, journal = KEYS[1], KEYS[2]
local epoch, seen, change, expires, actor, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end

local codes, names, unknown = {}, {}, {}
for i = 7, #ARGV do
  local code_bucket, code = KEYS[i - 4], ARGV[i]
  local packed = redis.call('HGET', code_bucket, code)
  if not packed then
    unknown[#unknown + 1] = int(i - 7)
  else
    local c = read_code(packed)
    if change == 'revoked' then
      c.state = 'r'
    elseif change == 'reinstated' then
      c.state = ''
    else
      c.expires = tonumber(expires)
    end
    codes[#codes + 1] = {code_bucket, code, write_code(c)}
    names[#names + 1] = code
  end
end
if #unknown > 0 then
  return answer('unknown', unpack(unknown, 1, math.min(#unknown, 1000)))
end

append(history, journal, {table.concat({'changed', change, expires, actor, note, table.concat(names, ',')}, '\t')})
for _, c in ipairs(codes) do
  redis.call('HSET', c[1], c[2], c[3])
end
return answer('changed', int(history.seq), int(history.version))
