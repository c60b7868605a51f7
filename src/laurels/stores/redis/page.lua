-- page(B; rules, state, now, place, start, stop)
--
-- Returns {name, score, name, score...} of the places from start to stop, if ties go by name, no name is hidden and
-- nothing ends. A nested answer, or one with ranks, costs the server three times as much.

local key = KEYS[1]
local state, how = redis.call('GET', key .. ':state') or '', nil
if state ~= ARGV[2] then
  how = state:match('!(.)$')  -- somebody watches (common.lua)
  if how then state = state:sub(1, -3) end
  if state ~= ARGV[2] then return {'stale', state, redis.call('GET', key .. ':definition') or ''} end
end
if ARGV[4] ~= '' then key = key .. ':' .. ARGV[4]:gsub('\n', ':') end
return redis.call(ARGV[1]:byte(1) == 100 and 'ZREVRANGE' or 'ZRANGE', key, ARGV[5], ARGV[6] - 1, 'WITHSCORES')
