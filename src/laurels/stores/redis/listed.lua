-- listed(B; now): what the list of boards must know of one, whatever its state.
--
-- Returns how many entries are seen; -1 if there are none, and nothing held or hidden either.

local base = KEYS[1]
local ends = redis.call('GET', base .. ':end')
if ends and tonumber(ends:match('^%d+')) <= tonumber(ARGV[1]) then return -1 end
local count = redis.call('ZCARD', base)
if count == 0 and redis.call('EXISTS', base .. ':hidden', base .. ':held') == 0 then return -1 end
return count
