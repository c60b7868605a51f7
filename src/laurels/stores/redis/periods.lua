-- periods(B; rules, state, now, place, limit, first, last...)
--
-- Returns {{"window\nperiod", how many entries}...} of the periods with entries between each pair of ends, both
-- included, in their order; of all, if there are none. At most so many, if the limit is not negative.

if over then return {} end
local list, limit, found = base .. ':periods', tonumber(ARGV[5]), {}
local AT_ONCE = 1000

local function take_between(first, last)
  while limit < 0 or #found < limit do
    local lines = redis.call('ZRANGEBYLEX', list, first, last, 'LIMIT', 0, AT_ONCE)
    for _, line in ipairs(lines) do
      local count = redis.call('ZCARD', key_at(line))
      if count > 0 and (limit < 0 or #found < limit) then found[#found + 1] = {line, count} end
    end
    if #lines < AT_ONCE then return end
    first = '(' .. lines[#lines]
  end
end

if #ARGV < 6 then take_between('-', '+') end
for at = 6, #ARGV, 2 do take_between('[' .. ARGV[at], '[' .. ARGV[at + 1]) end
return found
