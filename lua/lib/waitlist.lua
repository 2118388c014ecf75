-- The waitlist's records: its rules, an entry, a release. The line itself is a
-- sorted set of the entries that wait: the higher priority first, then the
-- earlier arrival.

-- read_waitlist reads the waitlist's rules:
-- open;referred;referrer;confirm;address_n;address_ms;launch_n;launch_ms;refill
local function read_waitlist(packed)
  local n = {}
  for w in string.gmatch(packed or '', '[^;]+') do
    n[#n + 1] = tonumber(w)
  end
  return {
    open = n[1] == 1,
    referred = n[2] or 0,
    referrer = n[3] or 0,
    confirm = n[4] == 1,
    address = {n = n[5] or 0, ms = n[6] or 0},
    launch = {n = n[7] or 0, ms = n[8] or 0},
    refill = n[9] == 1,
  }
end

-- score is an entry's place in the line: a whole number below 2^53, the smaller
-- the nearer to the front. No two entries arrive under one number.
local function score(e)
  return int((1048576 - e.priority) * 4294967296 + e.arrival)
end

-- most_points bounds a priority on both sides, so that score stays exact.
local most_points = 1000000

-- an entry: arrival;priority;status;joined;proof;referrer;flags;referrals;boosts;code;expires;release
-- status is '' waiting, 'i' invited, 'g' registered, 'd' declined, 'x' expired
-- or 'l' left. joined is in seconds. flags are 'u' for an address that is to be
-- confirmed and 'c' once its referral has been counted. boosts are separated by
-- ',', each kind:points:seconds:reason; kind is 's' a source, 'r' referred by
-- somebody, 'f' for somebody referred, 'h' by hand, whose reason ends with '|' and
-- the boost's id.
local function read_entry(packed)
  local w = words(packed or '')
  return {
    arrival = tonumber(w[1]),
    priority = tonumber(w[2]) or 0,
    status = w[3] or '',
    joined = tonumber(w[4]),
    proof = w[5] or '',
    referrer = w[6] or '',
    flags = w[7] or '',
    referrals = tonumber(w[8]) or 0,
    boosts = w[9] or '',
    code = w[10] or '',
    expires = tonumber(w[11]),
    release = w[12] or '',
  }
end

local function write_entry(e)
  local priority = e.priority ~= 0 and int(e.priority) or ''
  return pack(int(e.arrival), priority, e.status, int(e.joined), e.proof, e.referrer, e.flags,
    none_if_zero(e.referrals), e.boosts, e.code, none_if_zero(e.expires), e.release)
end

local entry_words = {[''] = 'waiting', i = 'invited', g = 'registered', d = 'declined', x = 'expired', l = 'left'}

-- boost changes an entry's priority and remembers why. What is gained by
-- referring others is one boost that grows.
local function boost(e, kind, points, now, reason)
  e.priority = math.max(-most_points, math.min(most_points, e.priority + points))
  local list, grown = {}, false
  for b in string.gmatch(e.boosts, '[^,]+') do
    local k, p, why = string.match(b, '^(%a):(-?%d+):%d+:(.*)$')
    if k == 'f' and kind == 'f' then
      grown = true
      b = table.concat({k, int(tonumber(p) + points), int(now / 1000), why}, ':')
    end
    list[#list + 1] = b
  end
  if not grown then
    list[#list + 1] = table.concat({kind, int(points), int(now / 1000), reason}, ':')
  end
  e.boosts = table.concat(list, ',')
end

-- a release: count;done;order;seed;upto;state;slot;at
-- state is 'o' while offers are to be made and 'd' when that has ended.
local function read_release(packed)
  local w = words(packed)
  return {
    count = tonumber(w[1]),
    done = tonumber(w[2]) or 0,
    order = w[3],
    seed = w[4],
    upto = tonumber(w[5]) or 0,
    state = w[6],
    slot = w[7] or '',
    at = w[8] or '',
  }
end

local function write_release(r)
  return pack(int(r.count), int(r.done), r.order, r.seed, int(r.upto), r.state, r.slot, r.at)
end
