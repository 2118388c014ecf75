-- redemption_find looks a redemption up in its subject's bucket, which the
-- redemption's id names.
--
-- uses history records
-- KEYS meta subject_bucket
-- ARGV epoch seen id
-- REPLY found seq version subject status code campaign expires
-- REPLY refused reason
-- REPLY breach what
local meta, subject_bucket = KEYS[1], KEYS[2]
local epoch, seen, id = ARGV[1], ARGV[2], ARGV[3]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local all = redis.call('HGETALL', subject_bucket)
for i = 1, #all, 2 do
  if string.find(all[i + 1], id, 1, true) then
    for _, r in ipairs(read_subject(all[i + 1])) do
      if r.id == id then
        return answer('found', int(history.seq), int(history.version), all[i], status_words[r.status], r.code, r.campaign, none_if_zero(r.expires))
      end
    end
  end
end
return answer('refused', 'redemption_unknown')
