-- submit(K, period..., [idempotency key]; rules, now, prefix, flags, minimum, maximum, fingerprint, seconds, entry...)
--
-- The keys are those of the board and of all the periods that entries feed; flags are letters: w, a whole score alone
-- is kept; c, the change is wanted; k, the last key is an idempotency key; m, it is a batch. prefix is what keys of
-- periods begin with. An entry is five values: name, score, metadata with "=" before it or nothing, time or nothing,
-- and the periods that it feeds: places among the keys, with commas between, each with ":" and the oldest period kept.
--
-- Returns 0 if there is nothing to say; {"c", score, rank, score, rank, counted} of a change, the first two empty for a
-- new name; {"r", index, score...} for refusals of a batch, each with the score to which its own cannot be added;
-- {"s", score} for one submission's; {"k"} for a key that was used with another fingerprint.

local now, prefix, flags = tonumber(ARGV[2]), ARGV[3], ARGV[4]
local minimum, maximum, fingerprint = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local whole, wants_change = flags:find('w', 1, true), flags:find('c', 1, true)
local keyed, batch = flags:find('k', 1, true), flags:find('m', 1, true)
local board = KEYS[1]

if keyed then
  local first = redis.call('GET', KEYS[#KEYS])
  if first then
    if first:sub(1, 16) ~= fingerprint then return {'k'} end
    return cmsgpack.unpack(first:sub(17))
  end
end

local clock, sequence = now, 0
if timed then
  local known = redis.call('HMGET', board .. ':clock', 'tick', 'sequence')
  clock, sequence = math.max(now, tonumber(known[1] or 0)), tonumber(known[2] or 0)
end

local function count_score(key, score, step)
  if ranking ~= 'd' then return end
  local left = redis.call('HINCRBY', key .. ':counts', score, step)
  if left == 0 then
    redis.call('HDEL', key .. ':counts', score)
    redis.call('ZREM', key .. ':scores', score)
  elseif left == 1 and step == 1 then
    redis.call('ZADD', key .. ':scores', score, score)
  end
end

local function keep(key, name, had, score, tick, order, metadata)
  local member = member_of(name, tick, order)
  if had and had.score ~= score then count_score(key, had.score, -1) end
  if not had or had.score ~= score then count_score(key, score, 1) end
  if had and had.member ~= member then redis.call('ZREM', key, had.member) end
  redis.call('ZADD', key, score, member)
  local details = string.format('%.0f.%.0f', tick, order)
  if metadata then details = details .. ' ' .. metadata end
  redis.call('HSET', key .. ':entries', name, details)
end

-- Submit to one board or period; return whether that changed it.
local function submit(key, name, score, metadata, dated)
  local had = entry_of(key, name)
  local tick = dated or clock
  local older = dated and had and had.tick > dated
  if not had then
    keep(key, name, nil, score, tick, sequence, metadata)
    return true
  end
  local value, before = tonumber(score), tonumber(had.score)
  if operator == 'i' then
    local sum = text(value + before)
    if older then
      keep(key, name, had, sum, had.tick, had.sequence, had.metadata)
      return sum ~= had.score
    end
    if sum == had.score and not metadata then return false end
    keep(key, name, had, sum, tick, sequence, metadata)
    return true
  end
  if value == before then
    if older and operator == 'b' then
      keep(key, name, had, had.score, tick, sequence, metadata or had.metadata)
      return true
    end
    if older or not metadata or metadata == had.metadata then return false end
    keep(key, name, had, had.score, had.tick, had.sequence, metadata)
    return true
  end
  if operator == 'l' and older then return false end
  if operator == 'b' and (value > before) ~= down then return false end
  keep(key, name, had, score, tick, sequence, metadata)
  return true
end

-- Return the score that a name has (a string) if a sum with it cannot be kept, else nil.
local function refused(key, name, score, bounded)
  local had = entry_of(key, name)
  local before = had and tonumber(had.score) or 0
  local sum = before + score
  local added = sum - before
  local lost = (before - (sum - added)) + (score - added)  -- exact: Knuth's two-sum
  local inexact = lost ~= 0 and ((before % 1 == 0 and score % 1 == 0) or math.abs(lost) * 1000 > math.abs(score))
  local outside = bounded
    and ((minimum and sum < minimum) or (maximum and sum > maximum) or (whole and sum % 1 ~= 0))
  if sum - sum ~= 0 or inexact or outside then return had and had.score or '0' end
end

-- A period that begins: put it into the list, and remove those that are too old to be kept.
local function begin_period(key, oldest)
  if redis.call('EXISTS', key) == 1 then return end
  local window, period = key:sub(#prefix + 1):match('^(.*):([^:]*)$')
  local list = board .. ':periods'
  redis.call('ZADD', list, 0, window .. '\n' .. period)
  if oldest == '' then return end
  local past = redis.call('ZRANGEBYLEX', list, '[' .. window .. '\n', '(' .. window .. '\n' .. oldest)
  for _, each in ipairs(past) do
    local old = prefix .. each:gsub('\n', ':')
    redis.call('UNLINK', old, old .. ':entries', old .. ':scores', old .. ':counts')
    redis.call('ZREM', list, each)
  end
end

local refusals, previous, current, counted = {'r'}, nil, nil, false
for at = 9, #ARGV, 5 do
  local name, score, metadata = ARGV[at], ARGV[at + 1], nil
  if ARGV[at + 2] ~= '' then metadata = ARGV[at + 2]:sub(2) end
  local dated = tonumber(ARGV[at + 3])
  local feeds, problem = {}, nil
  for place, oldest in ARGV[at + 4]:gmatch('(%d+):([^,]*)') do
    feeds[#feeds + 1] = {KEYS[tonumber(place)], oldest}
  end
  if operator == 'i' then
    problem = refused(board, name, tonumber(score), true)
    for _, feed in ipairs(feeds) do
      problem = problem or refused(feed[1], name, tonumber(score), false)
    end
  end
  if problem then
    if not batch then return {'s', problem} end
    refusals[#refusals + 1] = (at - 9) / 5
    refusals[#refusals + 1] = problem
  else
    if not batch and (wants_change or keyed) then previous = standing_of(board, name) end
    sequence = sequence + 1
    counted = submit(board, name, score, metadata, dated)
    for _, feed in ipairs(feeds) do
      begin_period(feed[1], feed[2])
      counted = submit(feed[1], name, score, metadata, dated) or counted
    end
    if not batch and (wants_change or keyed) then current = standing_of(board, name) end
  end
end
if timed then redis.call('HSET', board .. ':clock', 'tick', string.format('%.0f', clock), 'sequence', sequence) end

local answer = 0
if current then
  previous = previous or {'', 0}
  answer = {'c', previous[1], previous[2], current[1], current[2], counted and 1 or 0}
elseif batch and #refusals > 1 then
  answer = refusals
end
if keyed then
  redis.call('SET', KEYS[#KEYS], fingerprint .. cmsgpack.pack(answer), 'EX', ARGV[8])
end
return answer
