-- What every script begins with: the rules of a board, and its keys.
--
--   K             sorted set   member -> score; K is laurels:{board}, or of a period laurels:{board}:window:period
--   K:entries     hash         name -> "tick.sequence", and behind a space the metadata, if there is some
--   K:scores      sorted set   each score once, as its own member      only if ranks are dense
--   K:counts      hash         score -> how many entries have it       only if ranks are dense
--   laurels:{board}:periods    sorted set, all of score 0: "window\nperiod" of each period that has entries
--   laurels:{board}:clock      hash: tick, sequence                    only if ties go by time
--   laurels:rate:KIND:NAME     string, of no board: see rates.lua
--   laurels:{board}:key:HEX    string: a fingerprint of 16 bytes, and the first answer
--
-- A member is the name; if ties go by time, with 12 bytes before it: seven of the tick, five of the sequence, inverted
-- if the sorted set is read in the direction in which they would come in the wrong order. Ticks are microseconds.
--
-- ARGV[1] is the rules: one letter each of order (d, a), operator (l, b, i), ties (n, e, l) and ranking (o, c, d).

local down = ARGV[1]:sub(1, 1) == 'd'
local operator, ties, ranking = ARGV[1]:sub(2, 2), ARGV[1]:sub(3, 3), ARGV[1]:sub(4, 4)
local timed = ties ~= 'n'
local inverted = (ties == 'e') == down
local RANK, RANGE = down and 'ZREVRANK' or 'ZRANK', down and 'ZREVRANGE' or 'ZRANGE'
local PREFIX, TICKS, SEQUENCES = 12, 2 ^ 53 - 1, 2 ^ 40 - 1

local function text(score)
  return string.format('%.17g', score)
end

local function member_of(name, tick, sequence)
  if not timed then return name end
  if inverted then tick, sequence = TICKS - tick, SEQUENCES - sequence end
  return struct.pack('>I7I5', tick, sequence) .. name
end

local function name_of(member)
  return timed and member:sub(PREFIX + 1) or member
end

-- The entry of a name, or nil: its member, score (a string), tick, sequence and metadata (or nil).
local function entry_of(key, name)
  local details = redis.call('HGET', key .. ':entries', name)
  if not details then
    local score = not timed and redis.call('ZSCORE', key, name)
    if not score then return nil end
    return {tick = 0, sequence = 0, member = name, score = score}  -- put there by another program
  end
  local tick, sequence, space = details:match('^(%d+)%.(%d+)( ?)')
  local entry = {tick = tonumber(tick), sequence = tonumber(sequence)}
  if space ~= '' then entry.metadata = details:sub(#tick + #sequence + 3) end
  entry.member = member_of(name, entry.tick, entry.sequence)
  entry.score = redis.call('ZSCORE', key, entry.member)
  return entry
end

local function better(key, score)
  if down then return redis.call('ZCOUNT', key, '(' .. score, '+inf') end
  return redis.call('ZCOUNT', key, '-inf', '(' .. score)
end

-- The rank of a score that has the given place.
local function rank_at(key, score, place)
  if ranking == 'o' then return place end
  return better(ranking == 'c' and key or key .. ':scores', score)
end

local function standing_of(key, name)
  local member = name
  if timed then
    local entry = entry_of(key, name)
    if not entry then return nil end
    member = entry.member
  end
  local score = redis.call('ZSCORE', key, member)
  if not score then return nil end
  if ranking == 'o' then return {score, redis.call(RANK, key, member)} end
  return {score, rank_at(key, score)}
end
