-- read(B; rules, state, now, place, kind, argument...)
--
--   nothing                               nothing
--   standing  name                        {score, rank} or nothing; {score or "0", -1} of a hidden name
--   count                                 the number of entries
--   full      name, held, line...         {count, {score, rank, place, how many are better, details} or nothing, what is
--                                          held of it or nothing, {score, rank} or nothing for each line of a period}
--   page      start, stop, flags          {entry...}: name, score, rank, and with the flag d what K:entries has of it;
--                                         with p {count, place of the first, {entry...}}
--   around    name, span, limit, flags    {entry...} or nothing; instead of the span there may be a limit
--   named     flags, name...              {entry...} in the board's order; with p all places
--   scores    low, high, limit, flags     {entry...}
--   after     score, tick, sequence, name, limit, flags     {entry...}
--   place     score                       {rank, how many are better, how many there are}
--   summary   n, parts..., edge...        {count, best, worst, the scores that so many millionths of the entries
--                                          surpass, how many entries have at least that score for each edge}
--   hidden    after, limit                {entry...}: name, and if it has an entry score, what K:hidden:entries has
--   held      name                        {entry} or nothing

local kind, NAMES_AT_ONCE = ARGV[5], 1000
if over then key = base .. ':over' end  -- which is never there

local function entries_at(start, stop, flags)
  if stop <= start then return {} end
  local found = redis.call(RANGE, key, start, stop - 1, 'WITHSCORES')
  local entries, names, before, rank = {}, {}, nil, nil
  for at = 1, #found, 2 do
    local score, place = found[at + 1], start + (at - 1) / 2
    if score ~= before then
      rank = rank_at(key, score, place)
      before = score
    end
    names[#names + 1] = name_of(found[at])
    entries[#entries + 1] = {names[#names], score, ranking == 'o' and place or rank}
  end
  if flags:find('d', 1, true) then
    for first = 1, #names, NAMES_AT_ONCE do
      local last = math.min(#names, first + NAMES_AT_ONCE - 1)
      local kept = redis.call('HMGET', key .. ':entries', unpack(names, first, last))
      for at = first, last do entries[at][4] = kept[at - first + 1] end
    end
  end
  return entries
end

-- These entries as the flags ask for them.
local function answer_at(start, stop, flags)
  local entries = entries_at(start, stop, flags)
  return flags:find('p', 1, true) and {redis.call('ZCARD', key), start, entries} or entries
end

-- All there is of a name, hidden or not.
local function full_of(name)
  local place = place_of(key, name)
  local entry, hidden = entry_of(place, name), place ~= key
  if not entry then return hidden and {'0', -1} or false end
  local details = redis.call('HGET', place .. ':entries', name)
  if hidden then return {entry.score, -1, -1, -1, details} end
  local at, before = redis.call(RANK, key, entry.member), better(key, entry.score)
  return {entry.score, rank_at(key, entry.score, at), at, before, details}
end

-- The first place that is behind a score and a member.
local function place_after(score, member)
  local low, high = better(key, score), redis.call('ZCARD', key)
  if down then
    high = redis.call('ZCOUNT', key, score, '+inf')
  else
    high = redis.call('ZCOUNT', key, '-inf', score)
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call(RANGE, key, middle, middle)[1]
    local is_before = found <= member
    if down then is_before = found >= member end
    if is_before then low = middle + 1 else high = middle end
  end
  return low
end

if kind == 'nothing' then
  return false
elseif kind == 'standing' then
  return standing_of(key, ARGV[6]) or is_hidden(ARGV[6]) and {'0', -1} or false
elseif kind == 'count' then
  return redis.call('ZCARD', key)
elseif kind == 'full' then
  local held = ARGV[7] ~= '' and not over and entry_of(base .. ':held', ARGV[6])
  held = held and {ARGV[6], held.score, 0, redis.call('HGET', base .. ':held:entries', ARGV[6])}
  local answer = {redis.call('ZCARD', key), full_of(ARGV[6]), held or false}
  for at = 8, #ARGV do answer[at - 4] = not over and standing_of(key_at(ARGV[at]), ARGV[6]) or false end
  return answer
elseif kind == 'page' then
  return answer_at(tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8])
elseif kind == 'around' then
  local entry = entry_of(key, ARGV[6])
  if not entry then return false end
  local place, span, limit = redis.call(RANK, key, entry.member), tonumber(ARGV[7]), tonumber(ARGV[8])
  if not limit then return answer_at(math.max(0, place - span), place + span + 1, ARGV[9]) end
  local start = math.max(0, math.min(place - math.floor(limit / 2), redis.call('ZCARD', key) - limit))
  return answer_at(start, start + limit, ARGV[9])
elseif kind == 'named' then
  local places, seen = {}, {}
  for at = 7, #ARGV do
    local entry = not seen[ARGV[at]] and entry_of(key, ARGV[at])
    seen[ARGV[at]] = true
    if entry then places[#places + 1] = redis.call(RANK, key, entry.member) end
  end
  table.sort(places)
  local entries = {}
  for at, place in ipairs(places) do entries[at] = entries_at(place, place + 1, ARGV[6])[1] end
  if ARGV[6]:find('p', 1, true) then return {redis.call('ZCARD', key), places, entries} end
  return entries
elseif kind == 'scores' then
  local low, high = ARGV[6], ARGV[7]
  local start = down and better(key, high) or better(key, low)
  local count = redis.call('ZCOUNT', key, low, high)
  return answer_at(start, start + math.min(count, tonumber(ARGV[8])), ARGV[9])
elseif kind == 'after' then
  local place = place_after(ARGV[6], member_of(ARGV[9], tonumber(ARGV[7]), tonumber(ARGV[8])))
  return answer_at(place, place + tonumber(ARGV[10]), ARGV[11])
elseif kind == 'place' then
  local before = better(key, ARGV[6])
  return {rank_at(key, ARGV[6], before), before, redis.call('ZCARD', key)}
elseif kind == 'summary' then
  local count = redis.call('ZCARD', key)
  if count == 0 then return {0} end
  local function score_at(place) return redis.call(RANGE, key, place, place, 'WITHSCORES')[2] end
  local answer, parts = {count, score_at(0), score_at(count - 1)}, tonumber(ARGV[6])
  for at = 7, parts + 6 do  -- exact up to 9 * 10^9 entries
    answer[#answer + 1] = score_at(math.min(count - 1, math.floor(count * tonumber(ARGV[at]) / 1e6)))
  end
  for at = parts + 7, #ARGV do answer[#answer + 1] = redis.call('ZCOUNT', key, ARGV[at], '+inf') end
  return answer
elseif kind == 'hidden' then
  local first = ARGV[6] == '' and '-' or '(' .. ARGV[6]
  local found = redis.call('ZRANGEBYLEX', base .. ':hiding', first, '+', 'LIMIT', 0, ARGV[7])
  for at, name in ipairs(found) do
    local entry = entry_of(key .. ':hidden', name)
    found[at] = entry and {name, entry.score, redis.call('HGET', key .. ':hidden:entries', name)} or {name}
  end
  return found
elseif kind == 'held' then
  local entry = entry_of(key, ARGV[6])
  return entry and {{ARGV[6], entry.score, 0, redis.call('HGET', key .. ':entries', ARGV[6])}} or false
end
