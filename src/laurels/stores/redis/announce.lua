-- announce(laurels:{:}defined; name...): note that boards are defined anew.
--
-- The key is a sorted set of the boards that were ever defined, with the number of the last change of each.

local last = tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or 0)
for at = 1, #ARGV do redis.call('ZADD', KEYS[1], last + at, ARGV[at]) end
return last + #ARGV
