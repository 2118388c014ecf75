-- redeem decides a batch of redemptions, each in turn, and journals them in one
-- record. An item that fails harms no other.
--
-- uses history records attempts waitlist members
-- KEYS meta journal campaigns holds members attempts0 attempts1 dedup0 dedup1 queue offers holders
-- KEYS each code_bucket subject_bucket entry_bucket
-- ARGV epoch seen bound purpose
-- ARGV each id mode code subject address email entry proof sealed
-- REPLY decided seq version persisted now each
-- REPLY breach what
-- REPLY each admitted status campaign expires founding allotment referred display
-- REPLY each again id status campaign expires proof founding allotment referred display
-- REPLY each refused reason retry_ms
-- REPLY each failed why
local meta, journal, campaigns, holds, members = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local attempts0, attempts1, dedup0, dedup1, queue, offers, holders = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local epoch, seen, bound, purpose = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
local now, rules, member_rules = history.now, read_rules(history.rules), read_member_rules(history.rules)
local overloaded = history.backlog > tonumber(bound)
-- A gateway asserts what it answered and Redis may have lost: only a code that
-- has no use left can refuse that.
local asserts = purpose == 'assert'

-- Reading: every key is read before the first write, each record once.
local items, who, met = {}, {}, {}
for i = 5, #ARGV do
  local packed, at = ARGV[i], 10 + 3 * (i - 4)
  local id, mode, solved, vouched, code, subject, address, email, entry, proof, rest =
    string.match(packed, '^([^\t]*)\t(%l+)(%+?)(!?)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t()')
  -- One constructor: a table that grows field by field is hashed anew each time.
  -- Anybody may name anybody: guesses count against a subject only where a back
  -- end says who it is, or a stranger could lock others out.
  items[i - 4] = {
    id = id, mode = mode, solved = solved == '+', guesser = vouched == '!' and subject or '', code = code, subject = subject, address = address, email = email,
    entry = entry, proof = proof,
    sealed = string.sub(packed, rest), -- most of the item: not to be matched character by character
    code_bucket = KEYS[at], subject_bucket = KEYS[at + 1], entry_bucket = KEYS[at + 2],
  }
  if not met[subject] then
    met[subject] = true
    who[#who + 1] = subject
  end
end

-- addresses lists those of the batch, or of its items of one mode, each once;
-- guessers are they and the subjects that guesses count against, as attempts
-- tell them apart.
local function addresses(mode)
  local list, listed = {}, {}
  for _, item in ipairs(items) do
    if item.address ~= '' and (not mode or item.mode == mode) and not listed[item.address] then
      listed[item.address] = true
      list[#list + 1] = item.address
    end
  end
  return list
end
local function guessers()
  local list, listed = {}, {}
  for _, address in ipairs(addresses()) do
    list[#list + 1] = 'a' .. address
  end
  for _, item in ipairs(items) do
    if item.guesser ~= '' and not listed[item.guesser] then
      listed[item.guesser] = true
      list[#list + 1] = 's' .. item.guesser
    end
  end
  return list
end
local attempts = open_attempts(rules, attempts0, attempts1, now, guessers)
local dedup = rules.dedup_ms > 0 and open_turns({dedup0, dedup1}, rules.dedup_ms, now, addresses) or nil

-- Holds are counted by address in windows that follow each other: a hold gives
-- its use back, so nothing else bounds how many records they leave.
local held
local from = rules.holders.n > 0 and not asserts and addresses('hold') or {}
if #from > 0 then
  local v = redis.call('HMGET', holders, '#', unpack(from))
  held = {window = math.floor(now / rules.holders.ms), count = {}, dirty = {}}
  held.stale = v[1] and tonumber(v[1]) ~= held.window
  for i, address in ipairs(from) do
    held.count[address] = not held.stale and tonumber(v[i + 1]) or 0
  end
end

local codes, subjects, groups, records = {}, {}, {}, {}
for i, packed in ipairs(redis.call('HMGET', members, unpack(who))) do
  records[who[i]] = packed and read_member(packed)
end
local function member_of(subject)
  local m = records[subject]
  if m == nil then
    local packed = redis.call('HGET', members, subject)
    m = packed and read_member(packed)
    records[subject] = m
  end
  return m or nil
end
-- issuer_of is the record of who issued a code, made if there is none.
local function issuer_of(c)
  local m = c.issuer ~= '' and (member_of(c.issuer) or read_member('')) or nil
  if m then
    records[c.issuer] = m
  end
  return m
end
local function code_of(item)
  local c = codes[item.code]
  if c == nil then
    local packed = redis.call('HGET', item.code_bucket, item.code)
    c = packed and read_code(packed) or false
    if c then
      c.bucket = item.code_bucket
    end
    codes[item.code] = c
  end
  return c
end
local function subject_of(item)
  local s = subjects[item.subject]
  if not s then
    local packed = redis.call('HGET', item.subject_bucket, item.subject)
    s = {list = packed and read_subject(packed) or {}, bucket = item.subject_bucket, dirty = false}
    subjects[item.subject] = s
  end
  return s
end
local function campaign_of(number)
  local g = groups[number]
  if not g then
    local v = redis.call('HMGET', campaigns, number, number .. 'u', number .. 'p')
    g = read_campaign(v[1], v[2], v[3])
    groups[number] = g
  end
  return g
end

local events, held_until, held_no_more, counted_open = {}, {}, {}, {}
local entries, due = {}, {}

-- use counts uses of a code. A hold leaves an invite open, or whoever minted it
-- would get another in its place and have both when the hold is released.
local function use(c, campaign, n, held)
  local max = c.max or campaign.max
  local open = c.used - c.held < max
  c.used, c.held, c.dirty = c.used + n, c.held + held, true
  campaign.used, campaign.dirty = campaign.used + n, true
  local issuer = c.issuer ~= '' and campaign.personal and open ~= (c.used - c.held < max) and member_of(c.issuer)
  if issuer then
    count_open(issuer, c.expires, open and -1 or 1)
    counted_open[c.issuer] = true
  end
end

-- pace_left is how many more the campaign's pace lets in now; nil where it has
-- none. Windows follow each other.
local function pace_left(campaign)
  if campaign.pace_n == 0 then
    return nil
  end
  local window = math.floor(now / campaign.pace_ms)
  local at, n = string.match(campaign.paced or '', '^(%d+);(%d+)$')
  if tonumber(at) ~= window then
    n = 0
    campaign.paced = int(window) .. ';0'
  end
  return campaign.pace_n - tonumber(n), (window + 1) * campaign.pace_ms - now
end

local function count_pace(campaign)
  if pace_left(campaign) then
    campaign.paced = string.gsub(campaign.paced, '%d+$', function(n) return int(tonumber(n) + 1) end)
  end
end

-- register takes the subject's entry off the waitlist. An offer is settled soon
-- after, when both its code and its entry can be looked at.
local function register(item, c)
  if string.byte(c.recipient) == 126 then -- ~
    due[#due + 1] = string.sub(c.recipient, 2)
  end
  if history.arrivals == 0 or item.entry == '' then
    return
  end
  local e = entries[item.entry]
  if not e then
    e = read_entry(redis.call('HGET', item.entry_bucket, item.entry) or nil)
    e.bucket = item.entry_bucket
    entries[item.entry] = e
  end
  if e.arrival and (e.status == '' or e.status == 'i') then
    events[#events + 1] = table.concat({'entry', item.entry, entry_words[e.status], 'registered', 'redeem', e.code, '0', '', 'system', ''}, '\t')
    if e.status == 'i' then
      due[#due + 1] = item.entry
    end
    e.status, e.dirty = 'g', true
  end
end

-- tell_open journals the records whose open codes were counted and that
-- nothing else has told of.
local function tell_open()
  if not next(counted_open) then
    return
  end
  for subject in pairs(counted_open) do
    local m = records[subject]
    m.dirty = true
    events[#events + 1] = member_line(subject, m, 'counted')
  end
  counted_open = {}
end

-- join makes the subject of a committed redemption a member, where that gives
-- more than the redemption itself says.
local function join(subject, list, r, c, campaign)
  local m = member_of(subject)
  if not m and not member_rules.grants and c.issuer == '' then
    return
  end
  local inviter = issuer_of(c)
  if not m then
    local others = {}
    for _, other in ipairs(list) do
      others[#others + 1] = other.id ~= r.id and other or nil
    end
    m = derive_member(others, function(number) return campaign_of(number).once end) or read_member('')
    m.made = m.made ~= '' and m.made or r.id
  end
  let_in(subject, m, r, c, campaign, inviter, member_rules, now, events)
  records[subject], m.dirty = m, true
  if inviter and m.via == r.id then
    inviter.dirty, counted_open[c.issuer] = true, nil
  end
end

-- standing is what an answer says of the subject as a member: whether the
-- redemption made it one, its allotment, whether somebody invited it.
local function standing(item, s, r)
  local m = member_of(item.subject)
  return founds(m, s.list, r) and '1' or '0', m and m.allotment or '', m and m.inviter ~= '' and '1' or '0'
end

local function again(item, s, r, c)
  local founding, allotment, referred = standing(item, s, r)
  return line('again', r.id, status_words[r.status], r.campaign, none_if_zero(r.expires), r.proof, founding, allotment, referred, c and c.display or '')
end

-- earlier finds what the subject's requests for this code have led to: the
-- redemption to answer again, and the place of one that a new one replaces. A
-- hold whose time is over is released on the way.
local function earlier(item, s, c)
  for i, r in ipairs(s.list) do
    if r.code == item.code then
      if r.status == 'h' and now >= r.expires and c then
        use(c, campaign_of(r.campaign), -1, -1)
        unpace(campaign_of(r.campaign), r.expires - rules.hold_ms, now)
        r.status, s.dirty = 'r', true
        held_no_more[#held_no_more + 1] = r.id
        events[#events + 1] = table.concat({'settled', r.id, 'held', 'released', 'expire', r.code, r.campaign, item.subject, 'system', ''}, '\t')
      end
      -- An id comes twice only where a gateway asserts what it answered: what has
      -- become of it since is newer.
      local same = r.id == item.id or (item.proof ~= '' and item.proof == r.proof)
      if r.status ~= 'r' or same then
        return r, i
      end
      return nil, i
    end
  end
end

-- shares_address is for how many milliseconds another subject's redemption from
-- the item's address is still remembered; nil if there is none.
local function shares_address(item)
  if not dedup or not (dedup.last_found[item.address] or dedup.current_found[item.address]) then
    return nil
  end
  for _, found in ipairs({dedup.last_found[item.address] or '', dedup.current_found[item.address] or ''}) do
    local who, at = string.match(found, '^(.*);(%d+)$')
    if who and who ~= item.subject and tonumber(at) > now - rules.dedup_ms then
      return tonumber(at) + rules.dedup_ms - now
    end
  end
end

-- brought_by is how many redemptions of a member's codes there were in the
-- policy's window, and the window.
local function brought_by(m)
  local window = math.floor(now / rules.inviter.ms)
  local at, n = string.match(m and m.brought or '', '^(%d+):(%d+)$')
  return tonumber(at) == window and tonumber(n) or 0, window
end

-- used_up is the refusal of a code that is real and has no use left, or nil.
local function used_up(c, campaign)
  if campaign.cap > 0 and campaign.used >= campaign.cap then
    return 'campaign_full'
  end
  if uses_left(c, campaign) < 1 then
    return 'code_exhausted'
  end
end

-- refusal is why the item cannot be redeemed, and for how many milliseconds
-- waiting is what helps; nil if it can.
local function refusal(item, s, c)
  if asserts then
    return (not c and 'code_unknown') or (uses_left(c, campaign_of(c.campaign)) < 1 and 'code_exhausted') or nil
  end
  if not rules.open then
    return 'launch_closed'
  end
  if overloaded then
    return 'overloaded', 1000
  end
  local wait = attempts_blocked(attempts, rules, item.address, item.guesser)
  if wait > 0 then
    return 'attempts_exceeded', wait
  end
  if held and item.mode == 'hold' and (held.count[item.address] or 0) >= rules.holders.n then
    return 'holds_exceeded', (held.window + 1) * rules.holders.ms - now
  end
  if not c then
    return 'code_unknown'
  end
  local campaign = campaign_of(c.campaign)
  local why = code_refusal(c, campaign, now)
  if why then
    return why, why == 'code_not_started' and campaign.starts - now or 0
  end
  -- A code that nobody can redeem does not tell who is in already; and where
  -- refusals are opaque, who may not redeem learns nothing of it.
  why = used_up(c, campaign)
  if why and (rules.opaque or uses_left(c, campaign) < 1) then
    return why
  end
  if c.issuer ~= '' and c.issuer == item.subject then
    return 'own_code'
  end
  if c.recipient ~= '' and string.byte(c.recipient) ~= 126 and c.recipient ~= item.subject and c.recipient ~= item.email then
    return 'recipient_mismatch'
  end
  local in_campaign = 0
  for _, r in ipairs(s.list) do
    if r.status == 'h' or r.status == 'c' then
      if rules.once and campaign.once and campaign_of(r.campaign).once then
        return 'already_redeemed'
      end
      if r.campaign == c.campaign then
        in_campaign = in_campaign + 1
      end
    end
  end
  if campaign.per_subject > 0 and in_campaign >= campaign.per_subject then
    return 'already_redeemed'
  end
  if c.issuer ~= '' and rules.inviter.n > 0 then
    local brought, window = brought_by(member_of(c.issuer))
    if brought >= rules.inviter.n then
      return 'inviter_limited', (window + 1) * rules.inviter.ms - now
    end
  end
  local shared = shares_address(item)
  if shared and rules.dedup_action == 'refuse' then
    return 'address_already_redeemed', shared
  end
  if shared and rules.dedup_action == 'challenge' and not item.solved then
    return 'challenge_required'
  end
  if why then
    return why
  end
  local left, pause = pace_left(campaign)
  if left and left < 1 then
    return 'paced', pause
  end
end

local hidden = {
  code_unknown = true, code_not_started = true, code_expired = true, code_revoked = true, code_exhausted = true,
  own_code = true, recipient_mismatch = true, campaign_paused = true, campaign_full = true,
  inviter_limited = true,
}

local function decide(item)
  local s, c = subject_of(item), code_of(item)
  local r, place = earlier(item, s, c)
  if r then
    return again(item, s, r, c)
  end
  local why, wait = refusal(item, s, c)
  if why then
    -- Where nobody is to learn which codes exist, all that is hidden counts: or
    -- whoever is not made to wait would know that the code is real.
    local guess = guesses[why] or (rules.opaque and hidden[why])
    local counted = not asserts and guess and attempts_failed(attempts, rules, item.address, item.guesser)
    if counted or (rules.opaque and hidden[why]) then
      events[#events + 1] = table.concat({'refused', why, counted and '1' or '0', 'redeem', item.code, counted and item.guesser or item.subject, item.address}, '\t')
    end
    return line('refused', why, int(wait or 0))
  end
  local made = {id = item.id, status = 'c', code = item.code, campaign = c.campaign, expires = nil, proof = item.proof}
  local sets_aside = 0
  if item.mode == 'hold' then
    made.status, made.expires, sets_aside = 'h', now + rules.hold_ms, 1
    held_until[#held_until + 1] = int(made.expires)
    held_until[#held_until + 1] = made.id
    if held and item.address ~= '' then
      held.count[item.address] = held.count[item.address] + 1
      held.dirty[item.address] = true
    end
  end
  if not asserts and shares_address(item) then
    events[#events + 1] = table.concat({'signal', 'shared_address', item.id, item.code, c.campaign, item.subject, item.address}, '\t')
  end
  use(c, campaign_of(c.campaign), 1, sets_aside)
  if c.issuer ~= '' and rules.inviter.n > 0 then
    local inviter = issuer_of(c)
    local brought, window = brought_by(inviter)
    inviter.brought = int(window) .. ':' .. int(brought + 1)
    counted_open[c.issuer] = true
  end
  count_pace(campaign_of(c.campaign))
  s.list[place or #s.list + 1] = made
  s.dirty = true
  if dedup and item.address ~= '' then
    dedup.current_found[item.address] = item.subject .. ';' .. int(now)
    dedup.dirty[item.address] = true
  end
  local expires = none_if_zero(made.expires)
  events[#events + 1] = 'redeemed\t' .. item.id .. '\t' .. status_words[made.status] .. '\t' .. item.code .. '\t' .. c.campaign .. '\t' .. item.subject
    .. '\t' .. item.address .. '\t' .. item.proof .. '\t' .. expires .. '\t' .. item.sealed
  if item.mode ~= 'hold' then
    register(item, c)
  end
  if made.status == 'c' then
    join(item.subject, s.list, made, c, campaign_of(c.campaign))
  end
  local founding, allotment, referred = standing(item, s, made)
  return line('admitted', status_words[made.status], c.campaign, expires, founding, allotment, referred, c.display)
end

local replies = {}
for i, item in ipairs(items) do
  local ok, reply = pcall(decide, item)
  replies[i] = ok and reply or line('failed', (string.gsub(tostring(reply), '%c', ' ')))
  tell_open()
end

-- Writing: from here on nothing is refused any more.
if #events > 0 then
  append(history, journal, events)
  for code, c in pairs(codes) do
    if c and c.dirty then
      redis.call('HSET', c.bucket, code, write_code(c))
    end
  end
  for subject, s in pairs(subjects) do
    if s.dirty then
      redis.call('HSET', s.bucket, subject, write_subject(s.list))
    end
  end
  for subject, m in pairs(records) do
    if m and m.dirty then
      redis.call('HSET', members, subject, write_member(m))
    end
  end
  for number, g in pairs(groups) do
    if g.dirty then
      redis.call('HSET', campaigns, number .. 'u', int(g.used))
      if g.pace_n > 0 and g.paced then
        redis.call('HSET', campaigns, number .. 'p', g.paced)
      end
    end
  end
  for key, e in pairs(entries) do
    if e.dirty then
      redis.call('HSET', e.bucket, key, write_entry(e))
      redis.call('ZREM', queue, key)
    end
  end
  for _, key in ipairs(due) do
    redis.call('ZADD', offers, '0', key)
  end
  if #held_no_more > 0 then
    redis.call('ZREM', holds, unpack(held_no_more))
  end
  if #held_until > 0 then
    redis.call('ZADD', holds, unpack(held_until))
  end
  if attempts then
    save_turns(attempts)
  end
  if dedup then
    save_turns(dedup)
  end
  if held and next(held.dirty) then
    if held.stale then
      redis.call('UNLINK', holders)
    end
    local fields = {'#', int(held.window)}
    for address in pairs(held.dirty) do
      fields[#fields + 1] = address
      fields[#fields + 1] = int(held.count[address])
    end
    redis.call('HSET', holders, unpack(fields))
    redis.call('PEXPIRE', holders, int(2 * rules.holders.ms))
  end
end
return answer('decided', int(history.seq), int(history.version), int(history.persisted), int(now), table.concat(replies, '\n'))
