-- spread(B...; n, state..., order, place, kind, argument...), n being how many B there are
--
-- What is asked of several partitions at once: B is the key of each, and state what it is taken to be; place is nothing
-- for the boards, or "window\nperiod". Returns a list of one answer for each; or, if any is another, {"stale", {which
-- from 0, state, definition}...}.
--
--   count                           how many entries there are
--   before   score, which...        for each pair how many entries come before it: which is nothing for the better
--                                   ones, "<" and a name for those before that name, "=" and a name for that one, too
--   least    score...               for each how many entries have at least that score
--   entries  start, stop...         name, score, details... from a place up to another; a pair for each partition
--   pairs    start, stop...         the same, without the details

local count, stale, named = tonumber(ARGV[1]), {'stale'}, {}
for at = 1, count do named[at] = KEYS[at] .. ':state' end
for at, found in ipairs(redis.call('MGET', unpack(named))) do
  local state = found or ''
  if state ~= ARGV[at + 1] then state = state:match('^[^!]*') end  -- somebody watches (common.lua)
  if state ~= ARGV[at + 1] then
    stale[#stale + 1] = {at - 1, state, redis.call('GET', KEYS[at] .. ':definition') or ''}
  end
end
if #stale > 1 then return stale end

local FIRST = count + 5
local down, place, kind = ARGV[count + 2] == 'd', ARGV[count + 3], ARGV[count + 4]
local suffix = place == '' and '' or ':' .. place:gsub('\n', ':')

-- A point, and what counts what is better than its score and what is at least as good.
local function point_at(word)
  local score, which = ARGV[word], ARGV[word + 1]
  local point = {which ~= '' and which:sub(2), which:sub(1, 1) == '='}
  if down then
    point[3], point[4], point[5], point[6] = '(' .. score, '+inf', score, '+inf'
  else
    point[3], point[4], point[5], point[6] = '-inf', '(' .. score, '-inf', score
  end
  return point
end

-- O(log n), and O(log n) for each halving of those that have the same score.
local function before(key, point)
  local low, name = redis.call('ZCOUNT', key, point[3], point[4]), point[1]
  if not name then return low end
  local high = redis.call('ZCOUNT', key, point[5], point[6])
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call(down and 'ZREVRANGE' or 'ZRANGE', key, middle, middle)[1]
    local is_before = found == name and point[2]
    if found ~= name then is_before = (found > name) == down end
    if is_before then low = middle + 1 else high = middle end
  end
  return low
end

local function entries(key, start, stop)
  if stop <= start then return {} end
  local found = redis.call(down and 'ZREVRANGE' or 'ZRANGE', key, start, stop - 1, 'WITHSCORES')
  local flat, details = {}, kind == 'entries'
  for at = 1, #found, 2 do
    flat[#flat + 1], flat[#flat + 2] = found[at], found[at + 1]
    flat[#flat + 1] = details and redis.call('HGET', key .. ':entries', found[at]) or false
  end
  return flat
end

local answers, points = {}, {}
if kind == 'before' then
  for word = FIRST, #ARGV, 2 do points[#points + 1] = point_at(word) end
end
for at = 1, count do
  local key = KEYS[at] .. suffix
  if kind == 'count' then
    answers[at] = redis.call('ZCARD', key)
  elseif kind == 'before' then
    answers[at] = {}
    for place, point in ipairs(points) do answers[at][place] = before(key, point) end
  elseif kind == 'least' then
    answers[at] = {}
    for word = FIRST, #ARGV do answers[at][#answers[at] + 1] = redis.call('ZCOUNT', key, ARGV[word], '+inf') end
  else
    answers[at] = entries(key, tonumber(ARGV[FIRST + 2 * at - 2]), tonumber(ARGV[FIRST + 2 * at - 1]))
  end
end
return answers
