-- announce(laurels:{:}definitions; name...)
--
-- A sorted set of the boards that were ever defined, with the number of the last change of each; who knows the number
-- up to which he has read asks for those above it.

local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or 0
for at = 1, #ARGV do redis.call('ZADD', KEYS[1], last + at, ARGV[at]) end
return last + #ARGV
