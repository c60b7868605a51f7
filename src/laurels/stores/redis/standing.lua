-- standing(K; rules, name): as of read.lua, on a board whose ties go by name and whose ranks are places.

local score = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not score then return false end
return {score, redis.call(ARGV[1]:byte(1) == 100 and 'ZREVRANK' or 'ZRANK', KEYS[1], ARGV[2])}
