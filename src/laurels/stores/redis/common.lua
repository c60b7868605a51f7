-- What most scripts begin with: the rules of a board, its keys, and what is done with one entry.
--
-- B is the board's own key, laurels:{board}; all its keys have this tag, so they are in one slot. K is B, or for a
-- period B:window:period. In names of boards %, {, }, : and # are written as %25, %7B, %7D, %3A and %23. A board of several
-- partitions has of all these keys only definition and state; each of its partitions has them all: B is
-- laurels:{board#0/16}, laurels:{board#1/16}, ... for them (partitions.py).
--
--   K                  sorted set   member -> score
--   K:entries          hash         name -> "tick.sequence", and behind a space the metadata, if there is some
--   K:scores           sorted set   each score once, as its own member                 if ranks are dense
--   K:hidden           as K, and K:hidden:entries as K:entries: those of hidden names
--   B:held             as K, and B:held:entries as K:entries: what the guard holds
--   B:hiding           sorted set   the hidden names, all of score 0
--   B:periods          sorted set   "window\nperiod" of each period that has entries, all of score 0
--   B:clock            string       "tick sequence"                                    if ties go by time, or guarded
--   B:end              string       "end last": when the board's time is over, and its last submit, in microseconds
--   B:key:HEX          string       fingerprint (16 bytes), time (16 digits), first answer (MessagePack); expires
--   B:key:HEX:ranks    string       of a partition: that time, and how many entries of the others came before; expires
--   B:meter:RATE:name  string       when the rate of a player would be used up no more; expires
--   B:run:HEX          string       a run that was used; expires
--   B:definition       string       JSON: its own, or the default one that it was made under, if that is not plain
--   B:state            string       all that a caller must know: the digest of the definition, with ~ before it if that
--                                   is a default one; +h if names are hidden; @ and how many partitions entries are
--                                   being moved from, and behind & each number of partitions that there was before.
--                                   No such key means that there is nothing to know. "!s" or "!p" at the end is no part
--                                   of the state: somebody is to be told of the next change over the channel B:changes,
--                                   by SPUBLISH or PUBLISH. Who was told asks again (watch.lua), so that a board which
--                                   changes fast costs few messages, and one that nobody watches nothing
--   B:moves            string       how many names were moved from here to another number of partitions
--   B:leaving          sorted set   names that are being moved -> which of those moves it is
--   B:arrived:FROM     sorted set   moves from a partition that may still be under way, and B:settled:FROM, up to which
--                                   number none is
--   laurels:rate:KIND:NAME     string, of no board: see rates.lua
--
-- A member is the name; if ties go by time, with 12 bytes before it: seven of the tick, five of the sequence, inverted
-- if the sorted set is read in the direction in which they would come in the wrong order. Ticks are microseconds: they
-- and sequences are exact up to 2^53, and sequences end at 2^40 submits to a board that goes by time.
--
-- KEYS[1] is B. ARGV[1] is the rules: one letter each of order (d, a), operator (l, b, i), ties (n, e, l) and ranking
-- (o, c, d), g or - for a guard, and the time to live in microseconds, if there is one. ARGV[2] is the state as the
-- caller knows it: if it is another, {"stale", state, definition} is all the answer; but who takes a board to have the
-- default definition may read one that is not there. ARGV[3] is the caller's clock.
-- ARGV[4] says what K is: nothing for B, "window\nperiod", or "held".

local base, state, how = KEYS[1], redis.call('GET', KEYS[1] .. ':state') or '', nil
local absent = false
if state ~= ARGV[2] then
  how = state:match('!(.)$')
  if how then state = state:sub(1, -3) end
end
if state ~= ARGV[2] then
  absent = ARGV[2]:sub(1, 1) == '~' and not state:find('^[~%w]')
    and redis.call('EXISTS', base, base .. ':hidden', base .. ':held') == 0
  if not absent then return {'stale', state, redis.call('GET', base .. ':definition') or ''} end
end

local rules, now = ARGV[1], tonumber(ARGV[3])
local down = rules:sub(1, 1) == 'd'
local operator, ties, ranking = rules:sub(2, 2), rules:sub(3, 3), rules:sub(4, 4)
local guarded, ttl = rules:sub(5, 5) == 'g', tonumber(rules:sub(6))
local timed = ties ~= 'n'
local inverted = (ties == 'e') == down
local hides = state:find('+h', 1, true)
local RANK, RANGE = down and 'ZREVRANK' or 'ZRANK', down and 'ZREVRANGE' or 'ZRANGE'
local PREFIX, TICKS, SEQUENCES = 12, 2 ^ 53 - 1, 2 ^ 40 - 1
local KINDS = {'', ':entries', ':scores', ':hidden', ':hidden:entries'}
local SLACK = 60000

local function key_at(line)
  if line == '' then return base end
  return base .. ':' .. line:gsub('\n', ':')
end

local key = key_at(ARGV[4])

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

local known = {}  -- entries, or false, by key and name: as they are now
local begun = {}  -- keys of sorted sets that were not there before

local function note(key, name, entry)
  if not known[key] then known[key] = {} end
  known[key][name] = entry or false
  return entry
end

local function read_entry(key, name)
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
  if not entry.score then return nil end  -- taken away by another program
  return entry
end

-- The entry of a name, or nil: its member, score (a string), tick, sequence and metadata (or nil).
local function entry_of(key, name)
  local entry = known[key] and known[key][name]
  if entry == nil then return note(key, name, read_entry(key, name)) end
  return entry or nil
end

local function is_hidden(name)
  return hides and redis.call('ZSCORE', base .. ':hiding', name)
end

-- Where the entry of a name is, or would be. What is held is held, whether or not the name is hidden.
local function place_of(key, name)
  return key ~= base .. ':held' and is_hidden(name) and key .. ':hidden' or key
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

-- Score and rank of a name, or nil; the rank is -1 if it is hidden.
local function standing_of(key, name)
  local place = place_of(key, name)
  local member, score = name, nil
  if timed or known[place] then
    local entry = entry_of(place, name)
    if not entry then return nil end
    member, score = entry.member, entry.score
  else
    score = redis.call('ZSCORE', place, name)
    if not score then return nil end
  end
  if place ~= key then return {score, -1} end
  if ranking == 'o' then return {score, redis.call(RANK, key, member)} end
  return {score, rank_at(key, score)}
end

-- Tell who watches that the board has changed. It stays changed if they cannot be told.
local function tell()
  if not how then return end
  if state == '' then redis.call('DEL', base .. ':state') else redis.call('SET', base .. ':state', state) end
  redis.pcall(how == 's' and 'SPUBLISH' or 'PUBLISH', base .. ':changes', '')
end

-- The keys of all periods that have entries.
local function periods_of_board()
  local keys = redis.call('ZRANGE', base .. ':periods', 0, -1)
  for at, line in ipairs(keys) do keys[at] = key_at(line) end
  return keys
end

local function is_there(key)
  return redis.call('EXISTS', key, key .. ':hidden') > 0
end

local function board_is_there()
  return is_there(base) or redis.call('EXISTS', base .. ':held') == 1
end

local function forget(key)
  for _, kind in ipairs(KINDS) do
    redis.call('UNLINK', key .. kind)
    known[key .. kind] = nil
  end
end

local function forget_board()
  for _, each in ipairs(periods_of_board()) do forget(each) end
  forget(base)
  redis.call('UNLINK', base .. ':held', base .. ':held:entries', base .. ':periods', base .. ':clock', base .. ':end')
end

-- Keys of a board that has nothing left end with it.
local function forget_if_empty()
  if not board_is_there() then redis.call('UNLINK', base .. ':clock', base .. ':end') end
end

local over = false
if ttl then
  local ends = redis.call('GET', base .. ':end')
  over = ends and tonumber(ends:match('^%d+')) <= now
end

local function expire(key, span)
  for _, kind in ipairs(KINDS) do redis.call('PEXPIRE', key .. kind, span) end
end

-- Count the time to live from the given submit. The server itself removes the keys up to as long again later: so they
-- need a new expiry only once in that time, or when they come into being.
local function renew(last)
  local own, span, fed = base .. ':end', ttl / 1000 + SLACK, begun
  redis.call('SET', own, string.format('%.0f %.0f', last + ttl, last), 'KEEPTTL')
  local left = redis.call('PTTL', own)
  if left < span then
    left, fed = 2 * span, periods_of_board()
    fed[#fed + 1] = base
  end
  if #fed == 0 then return end
  left = string.format('%.0f', left)
  for _, each in ipairs(fed) do expire(each, left) end
  for _, kind in ipairs({'held', 'held:entries', 'periods', 'clock', 'end'}) do
    redis.call('PEXPIRE', base .. ':' .. kind, left)
  end
end

-- Have the list of scores, by which dense ranks are counted, follow an entry that came or went.
local function list_score(key, score)
  if ranking ~= 'd' or key:sub(-7) == ':hidden' or key:sub(-5) == ':held' then return end
  local member = text(tonumber(score) + 0)
  if redis.call('ZCOUNT', key, score, score) > 0 then
    redis.call('ZADD', key .. ':scores', score, member)
  else
    redis.call('ZREM', key .. ':scores', member)
  end
end

-- Give a name this entry in place of the one that it had, if any. No key is empty meanwhile: it would lose its expiry. The
-- details come first: if they are refused (a key of another kind, a user without the right), nothing was counted; and
-- without a score they say nothing.
local function keep(key, name, had, score, tick, sequence, metadata)
  local member = member_of(name, tick, sequence)
  if ttl and not had and redis.call('EXISTS', key) == 0 then begun[#begun + 1] = key end
  local details = string.format('%.0f.%.0f', tick, sequence)
  if metadata then details = details .. ' ' .. metadata end
  redis.call('HSET', key .. ':entries', name, details)
  redis.call('ZADD', key, score, member)
  if had and had.member ~= member then redis.call('ZREM', key, had.member) end
  if not had or had.score ~= score then
    list_score(key, score)
    if had then list_score(key, had.score) end
  end
  note(key, name, {member = member, score = score, tick = tick, sequence = sequence, metadata = metadata})
end

-- Remove the entry of a name that is exactly here, not in the twin; return it.
local function take(key, name)
  local entry = entry_of(key, name)
  if entry then
    redis.call('ZREM', key, entry.member)
    redis.call('HDEL', key .. ':entries', name)
    list_score(key, entry.score)
    note(key, name, nil)
  end
  return entry
end

-- Set the state, given the digest of the definition and whether names are hidden. What is behind @ stays, unless the
-- digest has such an end, too; @ alone is none.
local function set_state(digest, hiding)
  local plain, layout = digest:match('^([^@]*)(.*)$')
  if layout == '' then layout = state:match('@.*$') or '' elseif layout == '@' then layout = '' end
  local new = plain .. (hiding and '+h' or '') .. layout
  if new == '' then
    redis.call('DEL', base .. ':state')
  else
    redis.call('SET', base .. ':state', new)
  end
  return new
end
