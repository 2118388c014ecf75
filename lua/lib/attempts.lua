-- Failed attempts, per address and per subject: the times of the last few
-- failures, in two hashes that take turns, one for each window of time. A hash
-- knows its window in the field '#'; one of a window before the last counts no
-- more, and is emptied when its turn comes again.

-- read_rules reads the launch's rules, up to the '|' before those of members:
-- open;once;address_n;address_ms;subject_n;subject_ms;dedup_ms;hold_ms;opaque;dedup_action;
-- inviter_n;inviter_ms;holders_n;holders_ms
local function read_rules(packed)
  local n = {}
  for w in string.gmatch(string.match(packed, '^[^|]*'), '[^;]+') do
    n[#n + 1] = tonumber(w) or w
  end
  return {
    open = n[1] == 1,
    once = n[2] == 1,
    address = {n = n[3], ms = n[4]},
    subject = {n = n[5], ms = n[6]},
    dedup_ms = n[7],
    hold_ms = n[8],
    opaque = n[9] == 1,
    dedup_action = n[10] or 'refuse',
    inviter = {n = n[11] or 0, ms = n[12] or 0},
    holders = {n = n[13] or 0, ms = n[14] or 0},
  }
end

-- open_turns reads fields from the two hashes of a turning pair. wanted lists
-- them; it is asked only if a hash counts, which most of the time none does.
local function open_turns(keys, window, now, wanted)
  local turn = math.floor(now / window)
  local pair = {keys = keys, window = window, turn = turn, now = now, dirty = {}, any = false}
  pair.current, pair.last = keys[turn % 2 + 1], keys[(turn + 1) % 2 + 1]
  local fields
  for _, half in ipairs({'current', 'last'}) do
    local found = {}
    local at = tonumber(redis.call('HGET', pair[half], '#'))
    if at == turn or (half == 'last' and at == turn - 1) then
      fields = fields or wanted()
      if #fields > 0 then
        local v = redis.call('HMGET', pair[half], unpack(fields))
        for i, field in ipairs(fields) do
          found[field] = v[i] or nil
        end
      end
      pair.any = pair.any or next(found) ~= nil
    end
    pair[half .. '_is'] = at
    pair[half .. '_found'] = found
  end
  return pair
end

-- save_turns writes what changed, emptying the hash first when it still holds
-- an older window.
local function save_turns(pair)
  if not next(pair.dirty) then
    return
  end
  if pair.current_is and pair.current_is ~= pair.turn then
    redis.call('UNLINK', pair.current)
  end
  local fields = {'#', int(pair.turn)}
  for field in pairs(pair.dirty) do
    fields[#fields + 1] = field
    fields[#fields + 1] = pair.current_found[field]
  end
  redis.call('HSET', pair.current, unpack(fields))
  redis.call('PEXPIRE', pair.current, int(2 * pair.window))
end

-- failures lists the times of a field's failures that are younger than ms.
local function failures(pair, field, ms)
  local times = {}
  for _, found in ipairs({pair.last_found[field] or '', pair.current_found[field] or ''}) do
    for t in string.gmatch(found, '%d+') do
      if tonumber(t) > pair.now - ms then
        times[#times + 1] = tonumber(t)
      end
    end
  end
  return times
end

-- blocked_for is how many milliseconds a field still has to wait, 0 if it may
-- try: with n failures or more within ms, until the n-th last is ms old.
local function blocked_for(pair, field, limit)
  if field == '' or limit.n == 0 or not (pair.last_found[field] or pair.current_found[field]) then
    return 0
  end
  local times = failures(pair, field, limit.ms)
  if #times < limit.n then
    return 0
  end
  return times[#times - limit.n + 1] + limit.ms - pair.now
end

local function count_failure(pair, field, limit)
  if field == '' or limit.n == 0 then
    return false
  end
  local times = pair.current_found[field]
  pair.current_found[field] = times and (times .. ',' .. int(pair.now)) or int(pair.now)
  pair.dirty[field], pair.any = true, true
  return true
end

-- open_attempts reads the failures of everybody in a batch, whom wanted lists;
-- nil where the policy limits nobody. Addresses and subjects are told apart by a
-- letter.
local function open_attempts(rules, key0, key1, now, wanted)
  local window = math.max(rules.address.n > 0 and rules.address.ms or 0, rules.subject.n > 0 and rules.subject.ms or 0)
  if window == 0 then
    return nil
  end
  return open_turns({key0, key1}, window, now, wanted)
end

local function attempts_blocked(pair, rules, address, subject)
  if not pair or not pair.any then
    return 0
  end
  return math.max(
    blocked_for(pair, address ~= '' and 'a' .. address or '', rules.address),
    blocked_for(pair, subject ~= '' and 's' .. subject or '', rules.subject))
end

-- attempts_failed counts a failure against address and subject; it reports
-- whether anybody was there to count it against.
local function attempts_failed(pair, rules, address, subject)
  if not pair then
    return false
  end
  local a = count_failure(pair, address ~= '' and 'a' .. address or '', rules.address)
  local s = count_failure(pair, subject ~= '' and 's' .. subject or '', rules.subject)
  return a or s
end

-- A guess that failed counts; a real code that cannot be used does not, or a
-- crowd behind one address would lock itself out when a code runs dry.
local guesses = {code_unknown = true, recipient_mismatch = true}
