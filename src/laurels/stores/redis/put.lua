-- put(B; rules, state, now, place, name, score, metadata or nothing)
--
-- What submit.lua does with one submission, if there are no windows, guard and time to live, no name is hidden, ties go
-- by name, ranks are not dense and scores are not added. Most submits are so; it costs a third.

local call, key, rules, name, score, metadata = redis.call, KEYS[1], ARGV[1], ARGV[5], ARGV[6], ARGV[7]
local state, how = call('GET', key .. ':state') or '', nil
if state ~= ARGV[2] then
  how = state:match('!(.)$')  -- somebody watches (common.lua)
  if how then state = state:sub(1, -3) end
  if state ~= ARGV[2] then return {'stale', state, call('GET', key .. ':definition') or ''} end
end
local details, changed = ARGV[3] .. '.1', nil
if rules:byte(2) == 98 then  -- best
  changed = call('ZADD', key, rules:byte(1) == 100 and 'GT' or 'LT', 'CH', score, name)
else
  changed = call('ZADD', key, 'CH', score, name)
end
if changed == 0 then
  if not metadata or tonumber(call('ZSCORE', key, name)) ~= tonumber(score) then return 0 end
  details = (call('HGET', key .. ':entries', name) or '0.0'):match('^%S+')
end
call('HSET', key .. ':entries', name, metadata and details .. ' ' .. metadata or details)
if how then  -- as tell of common.lua
  if state == '' then call('DEL', key .. ':state') else call('SET', key .. ':state', state) end
  redis.pcall(how == 's' and 'SPUBLISH' or 'PUBLISH', key .. ':changes', '')
end
return 0
