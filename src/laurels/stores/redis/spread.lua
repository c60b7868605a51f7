-- spread(B...; order, place, kind, argument...)
--
-- What is asked of several partitions at once: B is the key of each, and place what of it is meant: nothing for the
-- board, or "window:period". Returns a list of one answer for each.
--
--   count                           how many entries there are
--   before   score, which...        for each pair how many entries come before it: which is nothing for the better
--                                   ones, "<" and a name for those before that name, "=" and a name for that one, too
--   least    score...               for each how many entries have at least that score
--   entries  start, stop...         {name, score, details}... from a place up to another; a pair for each partition

local down, kind = ARGV[1]:sub(1, 1) == 'd', ARGV[3]

-- O(log n), and O(log n) for each halving of those that have the same score.
local function before(key, score, which)
  local low, high
  if down then
    low, high = redis.call('ZCOUNT', key, '(' .. score, '+inf'), nil
    if which == '' then return low end
    high = redis.call('ZCOUNT', key, score, '+inf')
  else
    low, high = redis.call('ZCOUNT', key, '-inf', '(' .. score), nil
    if which == '' then return low end
    high = redis.call('ZCOUNT', key, '-inf', score)
  end
  local name, too = which:sub(2), which:sub(1, 1) == '='
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call(down and 'ZREVRANGE' or 'ZRANGE', key, middle, middle)[1]
    local is_before = found == name and too
    if found ~= name then is_before = (found > name) == down end
    if is_before then low = middle + 1 else high = middle end
  end
  return low
end

local function entries(key, start, stop)
  if stop <= start then return {} end
  local found = redis.call(down and 'ZREVRANGE' or 'ZRANGE', key, start, stop - 1, 'WITHSCORES')
  local rows = {}
  for at = 1, #found, 2 do
    rows[#rows + 1] = {found[at], found[at + 1], redis.call('HGET', key .. ':entries', found[at])}
  end
  return rows
end

local answers = {}
for at, base in ipairs(KEYS) do
  local key = ARGV[2] == '' and base or base .. ':' .. ARGV[2]
  if kind == 'count' then
    answers[at] = redis.call('ZCARD', key)
  elseif kind == 'before' then
    answers[at] = {}
    for place = 4, #ARGV, 2 do answers[at][place / 2 - 1] = before(key, ARGV[place], ARGV[place + 1]) end
  elseif kind == 'least' then
    answers[at] = {}
    for place = 4, #ARGV do answers[at][place - 3] = redis.call('ZCOUNT', key, ARGV[place], '+inf') end
  else
    answers[at] = entries(key, tonumber(ARGV[2 * at + 2]), tonumber(ARGV[2 * at + 3]))
  end
end
return answers
