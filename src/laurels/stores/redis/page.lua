-- page(K; rules, start, stop)
--
-- Returns {name, score, name, score...} of the places from start to stop, if ties go by name. A nested answer, or one
-- with ranks, costs the server three times as much.

return redis.call(ARGV[1]:byte(1) == 100 and 'ZREVRANGE' or 'ZRANGE', KEYS[1], ARGV[2], ARGV[3] - 1, 'WITHSCORES')
