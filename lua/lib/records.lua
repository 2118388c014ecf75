-- The packed records: a campaign's rules, a code, a subject's redemptions.
-- Fields are separated by ';', trailing empty ones are left out, so that a
-- fresh code is just its campaign's number.

local function words(packed)
  local t, n, from = {}, 0, 1
  while true do
    local at = string.find(packed, ';', from, true)
    n = n + 1
    if not at then
      t[n] = string.sub(packed, from)
      return t
    end
    t[n] = string.sub(packed, from, at - 1)
    from = at + 1
  end
end

local function pack(...)
  local t = {...}
  local n = #t
  while n > 1 and t[n] == '' do
    n = n - 1
  end
  return table.concat(t, ';', 1, n)
end

-- a code: campaign;used;held;state;max;expires;recipient;issuer;display
-- used counts committed and held uses; state is 'r' when revoked.
local function read_code(packed)
  if not string.find(packed, ';', 1, true) then -- fresh, as most are when they are first read
    return {campaign = packed, used = 0, held = 0, state = '', max = nil, expires = nil, recipient = '', issuer = '', display = ''}
  end
  local w = words(packed)
  return {
    campaign = w[1],
    used = tonumber(w[2]) or 0,
    held = tonumber(w[3]) or 0,
    state = w[4] or '',
    max = tonumber(w[5]),
    expires = tonumber(w[6]),
    recipient = w[7] or '',
    issuer = w[8] or '',
    display = w[9] or '',
  }
end

local function none_if_zero(n)
  if n == nil or n == 0 then
    return ''
  end
  return int(n)
end

local function write_code(c)
  if c.held == 0 and c.state == '' and not c.max and not c.expires and c.recipient == '' and c.issuer == '' and c.display == '' then
    return c.used == 0 and c.campaign or c.campaign .. ';' .. int(c.used)
  end
  return pack(c.campaign, none_if_zero(c.used), none_if_zero(c.held), c.state,
    none_if_zero(c.max), none_if_zero(c.expires), c.recipient, c.issuer, c.display)
end

-- a campaign's rules: max;starts;ends;state;cap;per_subject;once;pace_n;pace_ms;personal
-- state is 'a', 'p' (paused) or 'r' (revoked); once is '1' where the policy's
-- once_per_launch speaks of it; personal is '1' where members mint the codes.
-- used is kept beside, under <number>u; under
-- <number>p stands the window of the pace and how many were used in it.
local function read_campaign(packed, used, paced)
  local w = words(packed)
  return {
    max = tonumber(w[1]),
    starts = tonumber(w[2]),
    ends = tonumber(w[3]),
    state = w[4],
    cap = tonumber(w[5]),
    per_subject = tonumber(w[6]),
    once = w[7] == '1',
    used = tonumber(used) or 0,
    pace_n = tonumber(w[8]) or 0,
    pace_ms = tonumber(w[9]) or 0,
    paced = paced or nil,
    personal = w[10] == '1',
  }
end

-- a subject: redemptions separated by ',', each id;status;code;campaign;expires;proof
-- status is 'h' held, 'c' committed, 'r' released or 'b' rolled back.
local function read_subject(packed)
  local list = {}
  for entry in string.gmatch(packed, '[^,]+') do
    local w = words(entry)
    list[#list + 1] = {
      id = w[1],
      status = w[2],
      code = w[3],
      campaign = w[4],
      expires = tonumber(w[5]),
      proof = w[6] or '',
    }
  end
  return list
end

local function write_redemption(r)
  local s = r.id .. ';' .. r.status .. ';' .. r.code .. ';' .. r.campaign
  if r.proof ~= '' then
    return s .. ';' .. none_if_zero(r.expires) .. ';' .. r.proof
  end
  return r.expires and s .. ';' .. none_if_zero(r.expires) or s
end

local function write_subject(list)
  if #list == 1 then
    return write_redemption(list[1])
  end
  local t = {}
  for i, r in ipairs(list) do
    t[i] = write_redemption(r)
  end
  return table.concat(t, ',')
end

local status_words = {h = 'held', c = 'committed', r = 'released', b = 'rolled_back'}

-- code_refusal is why a code with its campaign cannot be used at this time, or
-- nil. It speaks of the code alone, not of who asks.
local function code_refusal(c, campaign, now)
  if c.state == 'r' or campaign.state == 'r' then
    return 'code_revoked'
  end
  if campaign.starts and now < campaign.starts then
    return 'code_not_started'
  end
  if (c.expires and now >= c.expires) or (campaign.ends and now >= campaign.ends) then
    return 'code_expired'
  end
  if campaign.state == 'p' then
    return 'campaign_paused'
  end
end

-- unpace gives back what a hold took of its campaign's pace, if it was made in
-- the present window. It reports whether it did.
local function unpace(campaign, made, now)
  if campaign.pace_n == 0 then
    return false
  end
  local window = math.floor(now / campaign.pace_ms)
  local at, n = string.match(campaign.paced or '', '^(%d+);(%d+)$')
  if tonumber(at) ~= window or math.floor(made / campaign.pace_ms) ~= window or tonumber(n) < 1 then
    return false
  end
  campaign.paced = int(window) .. ';' .. int(tonumber(n) - 1)
  return true
end

local function uses_left(c, campaign)
  local left = (c.max or campaign.max) - c.used
  if campaign.cap > 0 then
    left = math.min(left, campaign.cap - campaign.used)
  end
  return left
end
