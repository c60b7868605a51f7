-- spread(B...; n, state..., order, place, kind, argument...)
--
-- What is asked of several partitions at once. Returns a list of one answer for each.
--
--   count                           how many entries there are
--   least    score...               for each how many entries have at least that score
--   entries  start, stop...         name, score, details... from a place up to another; a pair for each partition
--   pairs    start, stop...         the same, without the details

local kind = ARGV[FIRST]

local function entries(key, start, stop)
  if stop <= start then return {} end
  local found = call(down and 'ZREVRANGE' or 'ZRANGE', key, start, stop - 1, 'WITHSCORES')
  local flat, details = {}, kind == 'entries'
  for at = 1, #found, 2 do
    flat[#flat + 1], flat[#flat + 2] = found[at], found[at + 1]
    flat[#flat + 1] = details and call('HGET', key .. ':entries', found[at]) or false
  end
  return flat
end

local answers = {}
for at = 1, count do
  local key = KEYS[at] .. suffix
  if kind == 'count' then
    answers[at] = call('ZCARD', key)
  elseif kind == 'least' then
    answers[at] = {}
    for word = FIRST + 1, #ARGV do answers[at][#answers[at] + 1] = call('ZCOUNT', key, ARGV[word], '+inf') end
  else
    answers[at] = entries(key, tonumber(ARGV[FIRST + 2 * at - 1]), tonumber(ARGV[FIRST + 2 * at]))
  end
end
return answers
