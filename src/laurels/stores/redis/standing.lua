-- standing(B; rules, state, now, place, name): as of read.lua, if ties go by name, ranks are places, no name is hidden
-- and nothing ends.

local key = KEYS[1]
local state, how = redis.call('GET', key .. ':state') or '', nil
if state ~= ARGV[2] then
  how = state:match('!(.)$')  -- somebody watches (common.lua)
  if how then state = state:sub(1, -3) end
  if state ~= ARGV[2] then return {'stale', state, redis.call('GET', key .. ':definition') or ''} end
end
if ARGV[4] ~= '' then key = key .. ':' .. ARGV[4]:gsub('\n', ':') end
local score = redis.call('ZSCORE', key, ARGV[5])
if not score then return false end
return {score, redis.call(ARGV[1]:byte(1) == 100 and 'ZREVRANK' or 'ZRANK', key, ARGV[5])}
