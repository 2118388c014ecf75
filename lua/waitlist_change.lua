-- waitlist_change changes one entry: confirm, leave, decline, settle (an offer
-- whose time is over, or whose code was used), boost, and declined: a decline
-- that is told again after Redis lost the offer too. The caller has read
-- the entry before, to know its offer's code and its referrer; when these have
-- changed since, nothing is done. A boost has an id, by which it counts once.
--
-- uses history records waitlist
-- KEYS meta journal queue offers releases entry_bucket code_bucket referrer_bucket
-- ARGV epoch seen verb key code referrer points reason id actor note
-- REPLY changed seq version status release
-- REPLY moved
-- REPLY refused reason
-- REPLY breach what
local meta, journal, queue, offers, releases = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local entry_bucket, code_bucket, referrer_bucket = KEYS[6], KEYS[7], KEYS[8]
local epoch, seen, verb, key, code = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local referrer, points, reason, id, actor, note = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local waitlist, now = read_waitlist(history.waitlist), history.now
local packed = redis.call('HGET', entry_bucket, key)
if not packed then
  return answer('refused', 'entry_unknown')
end
local e = read_entry(packed)
if e.code ~= code or (verb == 'confirm' and e.referrer ~= referrer) then
  return answer('moved')
end
local c
if code ~= '' then
  c = read_code(redis.call('HGET', code_bucket, code))
end

local events, was, r = {}, e.status, nil
local revoke, refill, again = false, false, false

local function boosted(of, which, kind, n)
  events[#events + 1] = table.concat({'boosted', which, kind, int(n), int(of.priority), int(of.referrals), of.boosts, actor, note}, '\t')
end

if verb == 'confirm' then
  if not string.find(e.flags, 'u', 1, true) then
    again = true
  else
    e.flags = string.gsub(e.flags, 'u', '')
    local counts = e.referrer ~= '' and not string.find(e.flags, 'c', 1, true)
    if counts then
      e.flags = e.flags .. 'c'
    end
    events[1] = table.concat({'confirmed', key, e.flags}, '\t')
    if counts then
      if was == '' and waitlist.referred ~= 0 then
        boost(e, 'r', waitlist.referred, now, '')
        boosted(e, key, 'r', waitlist.referred)
      end
      r = read_entry(redis.call('HGET', referrer_bucket, referrer) or nil)
      if r.arrival then
        r.referrals = r.referrals + 1
        local n = r.status == '' and waitlist.referrer or 0
        if n ~= 0 then
          boost(r, 'f', n, now, '')
        end
        boosted(r, referrer, 'f', n)
      else
        r = nil
      end
    end
  end
elseif verb == 'boost' then
  again = string.find(e.boosts .. ',', '|' .. id .. ',', 1, true)
  if not again then
    if was ~= '' then
      return answer('refused', 'not_waiting')
    end
    if math.abs(e.priority + tonumber(points)) > most_points then
      return answer('refused', 'boost_out_of_bounds')
    end
    boost(e, 'h', tonumber(points), now, reason .. '|' .. id)
    boosted(e, key, 'h', tonumber(points))
  end
elseif verb == 'leave' then
  if was == 'g' or (was == 'i' and c.used > 0) then
    return answer('refused', 'already_registered')
  end
  again = was == 'l'
  e.status, revoke, refill = 'l', was == 'i', was == 'i'
elseif verb == 'decline' then
  if was == 'g' or (was == 'i' and c.used > 0) then
    return answer('refused', 'already_registered')
  end
  if was ~= 'i' and was ~= 'd' then
    return answer('refused', 'no_offer')
  end
  again = was == 'd'
  e.status, revoke, refill = 'd', true, true
elseif verb == 'declined' then
  if was == 'i' then
    return answer('moved')
  elseif was ~= '' then
    return answer('refused', 'no_offer')
  end
  e.status, verb = 'd', 'decline' -- the release that offered the place offers it to the next
else
  if was == 'i' and c.used > 0 and c.held < c.used then
    e.status = 'g'
  elseif was == 'i' and now >= e.expires and c.used == 0 then
    e.status, refill = 'x', true
  elseif was == 'g' and c and c.used == 0 and c.state ~= 'r' then
    revoke = true
  elseif was == 'i' and c.used == 0 then
    redis.call('ZADD', offers, int(e.expires), key)
    again = true
  elseif was == 'i' then
    again = true -- held: it comes out one way or the other
  else
    redis.call('ZREM', offers, key)
    again = true
  end
end
if again then
  return answer('changed', int(history.seq), int(history.version), entry_words[e.status], e.release)
end

local release
if refill then
  release = waitlist.refill and redis.call('HGET', releases, e.release)
  release = release and read_release(release)
end
if e.status ~= was or revoke then
  events[#events + 1] = table.concat({'entry', key, entry_words[was], entry_words[e.status], verb, e.code, revoke and '1' or '0',
    release and e.release or '', actor, note}, '\t')
end
append(history, journal, events)
redis.call('HSET', entry_bucket, key, write_entry(e))
if e.status == '' then
  redis.call('ZADD', queue, score(e), key)
elseif was == '' then
  redis.call('ZREM', queue, key)
end
if e.status ~= was or revoke then
  redis.call('ZREM', offers, key)
end
if revoke then
  c.state = 'r'
  redis.call('HSET', code_bucket, code, write_code(c))
end
if release then
  release.done, release.state = release.done - 1, 'o'
  redis.call('HSET', releases, e.release, write_release(release))
end
if r then
  redis.call('HSET', referrer_bucket, referrer, write_entry(r))
  if r.status == '' then
    redis.call('ZADD', queue, score(r), referrer)
  end
end
return answer('changed', int(history.seq), int(history.version), entry_words[e.status], release and e.release or '')
