-- announced(laurels:{:}defined; number): the names announced after it, each with its own number behind.

return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES')
