-- A member's record, packed like the others (lib/records.lua), under the
-- subject's key in one hash. Who only redeemed a code that gives nothing more
-- than admission has none: derive_member says what it would be.
--
-- tier;method;campaign;inviter;via;rounds;used;until;allotment;referrals;
-- crossed;open;day;minted;refilled;code;private;joined;made;proofs;brought
--
-- tier      an operator's word, URL-encoded; '' is the campaign's
-- method    i (invite code), l (licence key), t (trial) or '' (not in any more)
-- campaign  of the code that let the member in
-- inviter   key of who issued that code; via is the redemption
-- rounds    granted in all, u for unlimited; used of them; until when, '' for good
-- allotment invites that may still be minted, u for unlimited
-- referrals who came by an invite and is in now
-- crossed   milestones crossed, 3.5.10
-- open      codes minted and not used up, by the day they expire on: 20780:3.0:1
-- day       of the last minting, and how many were minted on it
-- refilled  when the scheduled refill last came by, ms
-- code      the personal referral code
-- private   1: not on the leaderboard
-- joined    first let in, ms; made is the redemption that made the record
-- proofs    keys of the last Idempotency-Keys, p.p.p.p
-- brought   redemptions of the member's codes in a window of time, window:n

local member_fields = {
  'tier', 'method', 'campaign', 'inviter', 'via', 'rounds', 'used', 'until_ms', 'allotment', 'referrals',
  'crossed', 'open', 'day', 'minted', 'refilled', 'code', 'private', 'joined', 'made', 'proofs',
  'brought',
}
local unlimited = 'u'
local member_counts = {used = true, referrals = true, day = true, minted = true}

local function read_member(packed)
  local m, w = {}, words(packed)
  for i, field in ipairs(member_fields) do
    m[field] = w[i] or ''
    if member_counts[field] then
      m[field] = tonumber(m[field]) or 0
    end
  end
  return m
end

local function write_member(m)
  local t = {}
  for i, field in ipairs(member_fields) do
    t[i] = m[field]
    if member_counts[field] then
      t[i] = none_if_zero(m[field])
    elseif t[i] == '0' then
      t[i] = ''
    end
  end
  return pack(unpack(t))
end

-- read_member_rules reads what the policy says of members, the second part of
-- the launch's rules:
-- grants;allotment;per_day;refill_to;refill_by;trial;invite;license;unlock_ms;milestones
local function read_member_rules(packed)
  local w = words(string.match(packed, '^[^|]*|([^|]*)') or '')
  local milestones = {}
  for at, n in string.gmatch(w[10] or '', '(%d+):(%d+)') do
    milestones[#milestones + 1] = {at = tonumber(at), invites = tonumber(n)}
  end
  return {
    grants = w[1] == '1',
    allotment = w[2],
    per_day = tonumber(w[3]),
    refill_to = tonumber(w[4]),
    refill_by = tonumber(w[5]),
    trial = tonumber(w[6]),
    rounds = {i = w[7], l = w[8]},
    unlock_ms = tonumber(w[9]),
    milestones = milestones,
  }
end

-- member_line is the journal's word of a member: why, and the whole record.
local function member_line(subject, m, cause, ref, actor, note, sealed)
  return table.concat({'member', subject, cause, ref or '', write_member(m), actor or '', note or '', sealed or ''}, '\t')
end

local function is_in(m)
  return m.method == 'i' or m.method == 'l'
end

-- plus adds to a number that may be unlimited.
local function plus(n, more)
  if n == unlimited or more == unlimited then
    return unlimited
  end
  return int((tonumber(n) or 0) + (tonumber(more) or 0))
end

-- rounds_left of a member at a time: a number, or 'u'.
local function rounds_left(m, rules, now)
  local granted = m.rounds
  if m.until_ms ~= '' and now >= tonumber(m.until_ms) then
    granted = int(rules.trial) -- what was unlocked has lapsed
  end
  if granted == unlimited then
    return unlimited
  end
  return math.max(0, (tonumber(granted) or 0) - m.used)
end

-- told writes a number that may be unlimited.
local function told(n)
  return n == unlimited and n or int(tonumber(n) or 0)
end

local function day_of(ms)
  return math.floor(ms / 86400000)
end

-- count_open moves the number of open codes that expire on a code's day.
local function count_open(m, expires, n)
  local day, list, met = expires and int(day_of(expires)) or '0', {}, false
  for d, count in string.gmatch(m.open, '(%d+):(%d+)') do
    count = tonumber(count)
    if d == day then
      count, met = math.max(0, count + n), true
    end
    if count > 0 then
      list[#list + 1] = d .. ':' .. int(count)
    end
  end
  if not met and n > 0 then
    list[#list + 1] = day .. ':' .. int(n)
  end
  m.open = table.concat(list, '.')
end

-- open_codes is how many codes of a member can still be used; those of days
-- that are over are forgotten on the way.
local function open_codes(m, now)
  local today, list, sum = day_of(now), {}, 0
  for d, count in string.gmatch(m.open, '(%d+):(%d+)') do
    if d == '0' or tonumber(d) >= today then
      list[#list + 1] = d .. ':' .. count
      sum = sum + tonumber(count)
    end
  end
  m.open = table.concat(list, '.')
  return sum
end

-- refill tops a member up so that as many invites as the policy says are
-- either open or may be minted. It reports how many that took.
local function refill(m, rules, now)
  if rules.refill_to == 0 or m.allotment == unlimited or not is_in(m) then
    return 0
  end
  local lacking = rules.refill_to - (tonumber(m.allotment) or 0) - open_codes(m, now)
  if lacking <= 0 then
    return 0
  end
  m.allotment = plus(m.allotment, lacking)
  return lacking
end

-- derive_member is what the record would be of a subject that has none: its
-- first redemption that stands. once_of says of a campaign's number whether
-- its codes are invites.
local function derive_member(list, once_of)
  for _, r in ipairs(list) do
    if r.status == 'c' then
      local m = read_member('')
      m.method, m.campaign, m.rounds, m.made = once_of(r.campaign) and 'i' or 'l', r.campaign, unlimited, r.id
      return m
    end
  end
end

-- adopt completes a record that was made for a member's sake before the member
-- had one, by what the subject's redemptions say.
local function adopt(m, list, once_of)
  if m and (m.method ~= '' or m.joined ~= '') then
    return m
  end
  local derived = derive_member(list, once_of)
  if not m or not derived then
    return m or derived
  end
  m.method, m.campaign, m.rounds, m.made = derived.method, derived.campaign, derived.rounds, derived.made
  return m
end

-- founds reports whether a redemption is the one that made its subject a
-- member, or will: nobody spoke for the subject before it.
local function founds(m, list, r)
  if m then
    return m.made == r.id
  end
  for _, other in ipairs(list) do
    if other.status ~= 'r' then
      return other.id == r.id
    end
  end
  return true
end

-- cross grants what the milestones give that a member has reached by now, each
-- once, however many are crossed together.
local function cross(subject, m, rules, events)
  for _, milestone in ipairs(rules.milestones) do
    local at = int(milestone.at)
    if m.referrals >= milestone.at and not string.find('.' .. m.crossed .. '.', '.' .. at .. '.', 1, true) then
      m.crossed = m.crossed == '' and at or m.crossed .. '.' .. at
      m.allotment = plus(m.allotment, milestone.invites)
      events[#events + 1] = table.concat({'milestone', subject, at, int(milestone.invites), int(m.referrals)}, '\t')
    end
  end
end

-- let_in makes a subject a member by a redemption of a code, or adds to what
-- its member has. inviter is the record of the code's issuer, nil if it has
-- none. Both records change; the events say how.
local function let_in(subject, m, r, c, campaign, inviter, rules, now, events)
  local first, newly, method = m.joined == '', not is_in(m), campaign.once and 'i' or 'l'
  local granted = rules.rounds[method]
  if granted ~= unlimited and m.rounds ~= unlimited then
    -- A trial's rounds do not count towards what a code gives.
    granted = plus(is_in(m) and m.rounds or int(m.used), granted)
  elseif is_in(m) and m.rounds == unlimited then
    granted = unlimited
  end
  local stays = is_in(m) and m.until_ms == ''
  if rules.unlock_ms == 0 or stays then
    m.until_ms = ''
  else
    m.until_ms = int(math.max(now + rules.unlock_ms, tonumber(m.until_ms) or 0))
  end
  m.rounds = granted
  if not is_in(m) then
    m.campaign = r.campaign
  end
  m.method = method
  if first then
    m.joined, m.allotment = int(now), plus(m.allotment, rules.allotment)
  end
  -- Who is in already was not brought in by this code, nor was who has brought
  -- others: so nobody is referred, in however many steps, by whom they brought.
  local referred = inviter and newly and m.inviter == '' and m.referrals == 0 and campaign.once
  if referred then
    m.inviter, m.via = c.issuer, r.id
    refill(m, rules, now)
  end
  events[#events + 1] = member_line(subject, m, 'joined', r.id)
  if referred then
    inviter.referrals = inviter.referrals + 1
    if inviter.allotment ~= unlimited and rules.refill_by > 0 then
      inviter.allotment = plus(inviter.allotment, rules.refill_by)
    end
    cross(c.issuer, inviter, rules, events)
    refill(inviter, rules, now)
    events[#events + 1] = member_line(c.issuer, inviter, 'referred', r.id)
  end
end

-- let_out takes back what a redemption gave. list is the subject's without it.
local function let_out(subject, m, r, inviter, rules, list, events)
  local stays = false
  for _, other in ipairs(list) do
    stays = stays or (other.status == 'c' and other.id ~= r.id)
  end
  if m.via == r.id then
    if inviter then
      inviter.referrals = math.max(0, inviter.referrals - 1)
      events[#events + 1] = member_line(m.inviter, inviter, 'unreferred', r.id)
    end
    m.inviter, m.via = '', ''
  end
  if not stays then
    m.method, m.rounds, m.until_ms, m.campaign = rules.trial > 0 and 't' or '', int(rules.trial), '', ''
  end
  events[#events + 1] = member_line(subject, m, 'left', r.id)
end

-- find_member is a subject's record, or what it would be; nil if the subject
-- is no member and never was.
local function find_member(members, campaigns, subject_bucket, subject)
  local packed, list = redis.call('HGET', members, subject), redis.call('HGET', subject_bucket, subject)
  local function once_of(number)
    return read_campaign(redis.call('HGET', campaigns, number)).once
  end
  return adopt(packed and read_member(packed) or nil, list and read_subject(list) or {}, once_of)
end

-- The last few Idempotency-Keys of a member's calls are remembered, so that a
-- call which is repeated because its answer was lost does nothing twice.
local function has_proof(m, proof)
  return proof ~= '' and string.find('.' .. m.proofs .. '.', '.' .. proof .. '.', 1, true) ~= nil
end

local function add_proof(m, proof)
  if proof == '' then
    return
  end
  local kept, n = proof, 1
  for p in string.gmatch(m.proofs, '[^.]+') do
    if n < 8 then
      kept, n = kept .. '.' .. p, n + 1
    end
  end
  m.proofs = kept
end

-- What members tell of themselves with their tokens is bounded, or one of them
-- could fill the journal: own_most things a day, by UTC. They stand in one hash,
-- subject → the day's words, joined by commas, with the day in '#'. It is not
-- restored: what was told before is noted once more at the most.
local own_most = 10

local function open_own(own, subject, now)
  local v = redis.call('HMGET', own, '#', subject)
  local today = day_of(now)
  local is = tonumber(v[1])
  local words = is == today and v[2] or ''
  local _, commas = string.gsub(words, ',', '')
  return {
    key = own, subject = subject, today = today, stale = is and is ~= today, words = words,
    full = words ~= '' and commas + 1 >= own_most, left_ms = (today + 1) * 86400000 - now,
  }
end

local function has_told(o, word)
  return string.find(',' .. o.words .. ',', ',' .. word .. ',', 1, true) ~= nil
end

local function save_told(o, word)
  if o.stale then
    redis.call('UNLINK', o.key)
  end
  redis.call('HSET', o.key, '#', int(o.today), o.subject, o.words == '' and word or o.words .. ',' .. word)
  redis.call('PEXPIRE', o.key, '172800000')
end
