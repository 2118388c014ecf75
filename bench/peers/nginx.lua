-- The peer on nginx: the script of the others, over a kept connection to Redis.
-- The words in braces are filled in when nginx starts.
local redis = require 'nginx.redis'
local json = require 'cjson.safe'

local statuses = {
  code_unknown = 404, code_not_started = 409, code_expired = 410, code_revoked = 410, code_exhausted = 409,
  already_redeemed = 409, attempts_exceeded = 429,
}

local function answer(status, body)
  ngx.status = status
  local h = ngx.header
  h['Content-Type'] = 'application/json'
  h['Cache-Control'] = 'no-store'
  h['X-Content-Type-Options'] = 'nosniff'
  h['X-Request-Id'] = '0123456789abcdef-0000'
  h['Content-Length'] = #body
  ngx.print(body)
end

local function refuse(status, code)
  answer(status, '{"type":"/problems/' .. code .. '","title":"Refused","status":' .. status .. ',"code":"' .. code .. '"}')
end

ngx.req.read_body()
local ask = json.decode(ngx.req.get_body_data() or '')
local code, subject = ask and ask.code, ask and ask.subject
if type(code) ~= 'string' or type(subject) ~= 'string' or code == '' or #code > 64 or subject == '' or #subject > 200 then
  return refuse(400, 'invalid_request')
end

local r = redis:new()
r:set_timeout(5000)
local ok = r:connect('{host}', {port})
if not ok then
  return refuse(503, 'unavailable')
end
local random = ngx.var.request_id
local id = string.sub(random, 1, 8) .. '-' .. string.sub(random, 9, 12) .. '-4' .. string.sub(random, 14, 16)
  .. '-8' .. string.sub(random, 18, 20) .. '-' .. string.sub(random, 21, 32)
local reply = r:evalsha('{sha}', 4, '{code_key}' .. code, '{subjects_key}', '{attempts_key}', '{journal_key}',
  code, subject, ngx.var.remote_addr, id, {per_address}, {per_subject})
if not reply then
  return refuse(503, 'unavailable')
end
r:set_keepalive(60000, 256)
if reply[1] == 'refused' then
  return refuse(statuses[reply[2]], reply[2])
end
local again = reply[1] == 'again'
answer(again and 200 or 201, '{"id":"' .. reply[2] .. '","status":"committed","code":"' .. code .. '","campaign":"bench","subject":'
  .. json.encode(subject) .. ',"tier":"standard","unlock":{"method":"invite_code","rounds":"unlimited"},"allotment":0,"member_token":"{token}",'
  .. '"receipt":{"durability":"accepted","position":100000},"replayed":' .. tostring(again) .. '}')
