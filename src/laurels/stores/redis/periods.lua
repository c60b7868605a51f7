-- periods(K; rules, prefix, limit, first, last...)
--
-- Returns {{"window\nperiod", how many entries}...} of the periods between each pair of ends, both included, in their
-- order; of all, if there is one end. At most so many, if the limit is not negative.

local list, prefix, limit = KEYS[1] .. ':periods', ARGV[2], tonumber(ARGV[3])
local found = {}

local function take(lines)
  for _, line in ipairs(lines) do
    if limit >= 0 and #found >= limit then return end
    found[#found + 1] = {line, redis.call('ZCARD', prefix .. line:gsub('\n', ':'))}
  end
end

local count = limit < 0 and -1 or limit
if #ARGV < 5 then
  take(redis.call('ZRANGEBYLEX', list, '-', '+', 'LIMIT', 0, count))
else
  for at = 4, #ARGV, 2 do
    take(redis.call('ZRANGEBYLEX', list, '[' .. ARGV[at], '[' .. ARGV[at + 1], 'LIMIT', 0, count))
  end
end
return found
