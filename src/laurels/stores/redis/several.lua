-- What scripts over several partitions begin with: B...; n, state..., order, place, ...
--
-- B is the key of each of n partitions, and state what it is taken to be; place is nothing for the boards, or
-- "window\nperiod". If any is another, {"stale", {which from 0, state, definition}...} is all the answer.

local call, count, stale, named = redis.call, tonumber(ARGV[1]), {'stale'}, {}
for at = 1, count do named[at] = KEYS[at] .. ':state' end
for at, found in ipairs(call('MGET', unpack(named))) do
  local state = found or ''
  if state ~= ARGV[at + 1] then state = state:match('^[^!]*') end  -- somebody watches (common.lua)
  if state ~= ARGV[at + 1] then
    stale[#stale + 1] = {at - 1, state, call('GET', KEYS[at] .. ':definition') or ''}
  end
end
if #stale > 1 then return stale end

local FIRST = count + 4
local down, place = ARGV[count + 2] == 'd', ARGV[count + 3]
local suffix = place == '' and '' or ':' .. place:gsub('\n', ':')
