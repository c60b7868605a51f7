-- announce(laurels:{:}defined; name, "gone" or nothing): note that a board is defined anew, or no longer.
--
-- The key is a sorted set of the boards that were ever defined, with the number of the last change of each: one half more
-- for those that are not defined any more.

local last = math.floor(tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or 0))
redis.call('ZADD', KEYS[1], last + (ARGV[2] == 'gone' and 1.5 or 1), ARGV[1])
