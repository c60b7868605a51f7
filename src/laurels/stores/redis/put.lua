-- put(B; rules, state, now, place, name, score, metadata or nothing)
--
-- What submit.lua does with one submission, if there are no windows, guard and time to live, no name is hidden, ties go
-- by name, ranks are not dense and scores are not added. Most submits are so; it costs a third.

local key, rules, name, score, metadata = KEYS[1], ARGV[1], ARGV[5], ARGV[6], ARGV[7]
local state, how = redis.call('GET', key .. ':state') or '', nil
if state ~= ARGV[2] then
  how = state:match('!(.)$')  -- somebody watches (common.lua)
  if how then state = state:sub(1, -3) end
  if state ~= ARGV[2] then return {'stale', state, redis.call('GET', key .. ':definition') or ''} end
end
local had = redis.call('ZSCORE', key, name)
local details = ARGV[3] .. '.1'
if had then
  local value, before = tonumber(score), tonumber(had)
  if value == before then
    if not metadata then return 0 end
    details = (redis.call('HGET', key .. ':entries', name) or '0.0'):match('^%S+')
  elseif rules:byte(2) == 98 and (value > before) ~= (rules:byte(1) == 100) then  -- best, descending
    return 0
  end
end
redis.call('HSET', key .. ':entries', name, metadata and details .. ' ' .. metadata or details)  -- first, as in common.lua
redis.call('ZADD', key, score, name)
if how then  -- as tell of common.lua
  if state == '' then redis.call('DEL', key .. ':state') else redis.call('SET', key .. ':state', state) end
  redis.pcall(how == 's' and 'SPUBLISH' or 'PUBLISH', key .. ':changes', '')
end
return 0
