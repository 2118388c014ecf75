-- purchase learns what is said of a payment, and settles what its subject and
-- whoever referred the subject earn by it: at once, after the policy's delay,
-- when an operator approved, or back again. With no payment it settles what has
-- become due meanwhile.
--
-- uses history records members rewards attempts
-- KEYS meta journal members payments earnings
-- ARGV epoch seen bound payment id event subject amount currency refunded dispute dispute_state decision actor note
-- REPLY settled seq version subject status news
-- REPLY refused reason
-- REPLY breach what
local meta, journal, members, payments, earnings = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local epoch, seen, bound, payment, id, event, subject, amount, currency =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local refunded, dispute, dispute_state, decision, actor, note = ARGV[10], ARGV[11], ARGV[12], ARGV[13], ARGV[14], ARGV[15]

local history, breach = open_history(meta, epoch, seen)
if not history then
  return breach
end
if history.backlog > tonumber(bound) then
  return answer('refused', 'overloaded')
end
local now, rules, events, news = history.now, read_reward_rules(history.rules), {}, '0'

-- What is said.
local p, said
if payment ~= '' then
  local packed = redis.call('HGET', payments, payment)
  p = read_payment(packed or '')
  local before = write_payment(p)
  local repeated = event ~= '' and string.find('.' .. p.events .. '.', '.' .. event .. '.', 1, true)
  if not repeated then
    if p.subject == '' and subject ~= '' then
      p.subject, p.amount, p.currency, p.at = subject, tonumber(amount), currency, now
    end
    p.refunded = math.max(p.refunded, tonumber(refunded) or 0)
    if dispute ~= '' then
      learn_dispute(p, dispute, dispute_state)
    end
    if event ~= '' and write_payment(p) ~= before then
      p.events = p.events == '' and event or p.events .. '.' .. event
    end
  end
  said = write_payment(p)
  if said ~= before or not packed then
    events[1] = table.concat({'payment', payment, id, said}, '\t')
    news = '1'
  end
  subject = p.subject
end
if subject == '' then
  -- A refund of what was not bought yet: it is remembered until it is.
  if #events > 0 then
    append(history, journal, events)
    redis.call('HSET', payments, payment, said)
  end
  return answer('settled', int(history.seq), int(history.version), '', 'none', news)
end

-- What follows for the subject.
local e = read_earning(redis.call('HGET', earnings, subject) or '')
local before = write_earning(e)
local most_bytes = 1000 -- some forty payments, each read below: one that stands is enough
if p and p.amount >= rules.minimum and p.currency == rules.currency and #e.payments < most_bytes
  and not string.find('.' .. e.payments .. '.', '.' .. payment .. '.', 1, true) then
  e.payments = e.payments == '' and payment or e.payments .. '.' .. payment
end
local best, since
for key in string.gmatch(e.payments, '[^.]+') do
  local other = key == payment and p or read_payment(redis.call('HGET', payments, key) or '')
  if stands(other) >= rules.minimum and stands(other) > 0 and (not since or other.at < since) then
    best, since = key, other.at
  end
end
local member = redis.call('HGET', members, subject)
member = member and read_member(member)
local referrer_key = e.referrer ~= '' and e.referrer or (member and member.inviter or '')
local referrer = referrer_key ~= '' and read_earning(redis.call('HGET', earnings, referrer_key) or '') or nil
local earned_before = referrer and write_earning(referrer)
local pays = rules.referrer > 0 or rules.referee > 0

if decision == 'reject' and e.status ~= 'x' then
  if e.status == 'd' then
    take_back(subject, e, events)
    referrer.earned = referrer.earned - 1
  end
  e.status = 'x'
elseif decision == 'approve' and e.status == 'p' then
  e.status, e.payment = 'a', best or ''
end
if e.status == '' and best and referrer and pays then
  e.status, e.referrer, e.due = 'p', referrer_key, since + rules.after_ms
  e.to_referrer, e.to_referee, e.currency = rules.referrer, rules.referee, rules.currency
elseif (e.status == 'p' or e.status == 'a') and not best then
  e.status, e.payment = '', '' -- it fell through before it was paid
elseif e.status == 'd' and not best and rules.clawback then
  take_back(subject, e, events)
  referrer.earned = referrer.earned - 1
end
-- Another payment than the one that was waited for, or approved, begins anew.
if best and (e.status == 'p' or e.status == 'a' or e.status == 'r') then
  e.due = math.max(e.due, since + rules.after_ms)
  if e.status == 'a' and e.payment ~= '' and e.payment ~= best then
    e.status, e.payment = 'p', ''
  end
end
local ready = e.status == 'r' or e.status == 'a' or (e.status == 'p' and not rules.approval)
if best and referrer and ready and now >= e.due then
  if rules.per_member > 0 and referrer.earned >= rules.per_member then
    e.status = 'c'
  else
    e.payment = best
    pay(subject, e, events)
    referrer.earned = referrer.earned + 1
  end
end

local after = write_earning(e)
if after ~= before then
  events[#events + 1] = table.concat({'earning', subject, after, actor, note}, '\t')
end
if referrer and write_earning(referrer) ~= earned_before then
  events[#events + 1] = table.concat({'earning', referrer_key, write_earning(referrer), '', ''}, '\t')
end
if #events > 0 then
  append(history, journal, events)
  if said then
    redis.call('HSET', payments, payment, said)
  end
  if after ~= before then
    redis.call('HSET', earnings, subject, after)
  end
  if referrer and write_earning(referrer) ~= earned_before then
    redis.call('HSET', earnings, referrer_key, write_earning(referrer))
  end
end
return answer('settled', int(history.seq), int(history.version), subject, e.status, news)
