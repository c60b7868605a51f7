-- watch(B; how, seconds)
--
-- Asks to be told of the next change, by "s" or "p" (common.lua). Returns 1 if that was asked for already, else 0. Where
-- there is nothing else to know, it is forgotten after so many seconds.

local key = KEYS[1] .. ':state'
local state = redis.call('GET', key) or ''
if state == '' then
  redis.call('SET', key, '!' .. ARGV[1], 'EX', ARGV[2])
elseif state:sub(1, 1) == '!' then
  redis.call('EXPIRE', key, ARGV[2])
elseif not state:find('!', 1, true) then
  redis.call('SET', key, state .. '!' .. ARGV[1])
  return 0
end
return state:find('!', 1, true) and 1 or 0
