-- list(laurels:{:}boards, laurels:{:}listed; day, kind, name...)
--
-- The first is a sorted set of the boards that may have entries, all of score 0; the second has for each when it was put
-- there, in milliseconds of the server. kind is "add", which returns at most two of those that were put there more than
-- a day before, to be looked at; "keep", which puts such names there anew; or "drop", which takes them out unless they
-- were put there anew since.

local boards, listed, day, kind = KEYS[1], KEYS[2], tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for at = 3, #ARGV do
  local name = ARGV[at]
  if kind ~= 'drop' then
    redis.call('ZADD', boards, 0, name)
    redis.call('ZADD', listed, now, name)
  elseif tonumber(redis.call('ZSCORE', listed, name) or 0) <= now - day then
    redis.call('ZREM', boards, name)
    redis.call('ZREM', listed, name)
  end
end
if kind ~= 'add' then return {} end
return redis.call('ZRANGEBYSCORE', listed, '-inf', now - day, 'LIMIT', 0, 2)
