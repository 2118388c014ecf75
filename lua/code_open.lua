-- code_open counts visits of codes' links: it journals them for the funnel and
-- changes nothing else. Codes that do not exist are not counted.
--
-- uses history records
-- KEYS meta journal
-- KEYS each code_bucket
-- ARGV epoch seen bound
-- ARGV each code count
-- REPLY opened seq version
-- REPLY breach what
local meta, journal = KEYS[1], KEYS[2]
local epoch, seen, bound = ARGV[1], ARGV[2], ARGV[3]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local events = {}
if history.backlog <= tonumber(bound) then
  for i = 4, #ARGV do
    local code_bucket = KEYS[i - 1]
    local code, count = string.match(ARGV[i], '^([^\t]*)\t([^\t]*)$')
    local packed = redis.call('HGET', code_bucket, code)
    if packed then
      events[#events + 1] = table.concat({'opened', code, read_code(packed).campaign, count}, '\t')
    end
  end
end
if #events > 0 then
  append(history, journal, events)
end
return answer('opened', int(history.seq), int(history.version))
