-- before(B...; n, state..., order, place, score, which...)
--
-- Returns for each B, and for each pair, how many entries come before it: which is nothing for the better ones, "<" and
-- a name for those before that name, "=" and a name for that one, too. O(log n), and O(log n) for each halving of those
-- that have the same score; to see that none has takes the least. It has no functions, which are made anew in each call.

local RANGE, counts = down and 'ZREVRANGE' or 'ZRANGE', {}
for at = 1, count do
  local key = KEYS[at] .. suffix
  for word = FIRST, #ARGV, 2 do
    local score, which, low = ARGV[word], ARGV[word + 1], nil
    if down then low = call('ZCOUNT', key, '(' .. score, '+inf') else low = call('ZCOUNT', key, '-inf', '(' .. score) end
    local high = which == '' and low or low + call('ZCOUNT', key, score, score)
    while low < high do
      local middle, name = math.floor((low + high) / 2), which:sub(2)
      local found = call(RANGE, key, middle, middle)[1]
      local is_before = found == name and which:sub(1, 1) == '='
      if found ~= name then is_before = (found > name) == down end
      if is_before then low = middle + 1 else high = middle end
    end
    counts[#counts + 1] = low
  end
end
return counts
