-- What is known of payments, and what follows from it. The facts of a payment
-- may come in any order and any number of times: a payment's record only ever
-- learns. What is due is read from the records alone.
--
-- a payment: subject;amount;currency;refunded;disputes;events;at
--   refunded is the sum so far; disputes are id:state.id:state, state o (open),
--   w (won) or l (lost); events are keys of the last ones that told of it.
-- an earning, under the key of its subject: payments;status;payment;referrer;
--   to_referrer;to_referee;currency;due;earned
--   payments are keys of those that could qualify; status is p (pending), a
--   (approved), d (paid), r (taken back), c (above the cap) or x (rejected);
--   payment is the one that it is for, earned how many the subject has been
--   paid as a referrer.

local function read_payment(packed)
  local w = words(packed)
  return {
    subject = w[1] or '', amount = tonumber(w[2]) or 0, currency = w[3] or '', refunded = tonumber(w[4]) or 0,
    disputes = w[5] or '', events = w[6] or '', at = tonumber(w[7]) or 0,
  }
end

local function write_payment(p)
  return pack(p.subject, none_if_zero(p.amount), p.currency, none_if_zero(p.refunded), p.disputes, p.events, none_if_zero(p.at))
end

local function read_earning(packed)
  local w = words(packed)
  return {
    payments = w[1] or '', status = w[2] or '', payment = w[3] or '', referrer = w[4] or '', to_referrer = tonumber(w[5]) or 0,
    to_referee = tonumber(w[6]) or 0, currency = w[7] or '', due = tonumber(w[8]) or 0, earned = tonumber(w[9]) or 0,
  }
end

local function write_earning(e)
  return pack(e.payments, e.status, e.payment, e.referrer, none_if_zero(e.to_referrer), none_if_zero(e.to_referee), e.currency,
    none_if_zero(e.due), none_if_zero(e.earned))
end

-- read_reward_rules reads the policy's rewards, the third part of the launch's
-- rules:
-- referrer;referee;minimum;currency;after_ms;approval;clawback;per_member
local function read_reward_rules(packed)
  local w = words(string.match(packed, '^[^|]*|[^|]*|(.*)$') or '')
  return {
    referrer = tonumber(w[1]) or 0, referee = tonumber(w[2]) or 0, minimum = tonumber(w[3]) or 0, currency = w[4] or '',
    after_ms = tonumber(w[5]) or 0, approval = w[6] == '1', clawback = w[7] == '1', per_member = tonumber(w[8]) or 0,
  }
end

-- learn_dispute notes what is said of a dispute: an end outlasts a beginning
-- that is told later.
local function learn_dispute(p, id, state)
  local list, met = {}, false
  for known, now in string.gmatch(p.disputes, '([^:.]+):(%l)') do
    if known == id then
      met = true
      now = now == 'o' and state or now
    end
    list[#list + 1] = known .. ':' .. now
  end
  if not met then
    list[#list + 1] = id .. ':' .. state
  end
  p.disputes = table.concat(list, '.')
end

-- stands is what is left of a payment: nothing while it is disputed or when
-- the dispute is lost.
local function stands(p)
  if string.find(p.disputes, ':o', 1, true) or string.find(p.disputes, ':l', 1, true) then
    return 0
  end
  return math.max(0, p.amount - p.refunded)
end

local function credit_line(kind, subject, referee, payment, amount, currency)
  return table.concat({'credit', kind, subject, referee, payment, int(amount), currency}, '\t')
end

-- pay makes an earning good, take_back undoes it: both journal what moves.
local function pay(subject, e, events)
  if e.to_referrer > 0 then
    events[#events + 1] = credit_line('reward', e.referrer, subject, e.payment, e.to_referrer, e.currency)
  end
  if e.to_referee > 0 then
    events[#events + 1] = credit_line('reward', subject, subject, e.payment, e.to_referee, e.currency)
  end
  e.status = 'd'
end

local function take_back(subject, e, events)
  if e.to_referrer > 0 then
    events[#events + 1] = credit_line('clawback', e.referrer, subject, e.payment, e.to_referrer, e.currency)
  end
  if e.to_referee > 0 then
    events[#events + 1] = credit_line('clawback', subject, subject, e.payment, e.to_referee, e.currency)
  end
  e.status = 'r'
end
