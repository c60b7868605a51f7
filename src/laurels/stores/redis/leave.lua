-- leave(B; rules, state, now, place, rate or nothing, kind, argument...)
--
-- What is moved from a partition, to another number of them; B takes no writes any more.
--
--   some  limit      copies of at most so many names that have anything here, first of those that are leaving already
--   named name...    copies of these, as far as they have anything here
--   leaving          copies of those that are leaving already
--   left  name, number...   these names have arrived: nothing of them stays, unless they have another number by now
--   drop             nothing of any name stays, nor arrives any more
--
-- Returns {the number up to which no move is under way, {name, number, "1" if hidden, meter, its milliseconds, period or
-- "" or "held", score, details...}...}. A name has one number, however often it is copied.

local rate, kind, leaving = ARGV[5], ARGV[6], base .. ':leaving'

local function lines_of_board()
  local lines = redis.call('ZRANGE', base .. ':periods', 0, -1)
  table.insert(lines, 1, '')
  lines[#lines + 1] = 'held'
  return lines
end

local function where(line, name)
  return line == 'held' and base .. ':held' or place_of(key_at(line), name)
end

local function meter_of(name)
  return base .. ':meter:' .. rate .. ':' .. name
end

local function copy(name, lines)
  local found = {name, 0, is_hidden(name) and '1' or '', '', 0}
  for _, line in ipairs(lines) do
    local place = where(line, name)
    local entry = entry_of(place, name)
    if entry then
      found[#found + 1] = line
      found[#found + 1] = entry.score
      found[#found + 1] = redis.call('HGET', place .. ':entries', name) or ''
    end
  end
  if rate ~= '' then
    found[4] = redis.call('GET', meter_of(name)) or ''
    found[5] = math.max(0, redis.call('PTTL', meter_of(name)))
  end
  if #found == 5 and found[3] == '' and found[4] == '' then return nil end
  found[2] = redis.call('ZSCORE', leaving, name)
  if not found[2] then
    found[2] = redis.call('INCR', base .. ':moves')
    redis.call('ZADD', leaving, found[2], name)
  end
  return found
end

local function forget_name(name, number, lines)
  if redis.call('ZSCORE', leaving, name) ~= number then return end
  for _, line in ipairs(lines) do
    take(where(line, name), name)
    if line ~= '' and line ~= 'held' and not is_there(key_at(line)) then redis.call('ZREM', base .. ':periods', line) end
  end
  redis.call('ZREM', base .. ':hiding', name)
  redis.call('UNLINK', meter_of(name))
  redis.call('ZREM', leaving, name)
end

local function some(limit, lines)
  local names, seen = {}, {}
  local function add(key)
    for _, name in ipairs(#names < limit and redis.call('ZRANGE', key, 0, limit - 1) or {}) do
      if not seen[name] then names[#names + 1] = name end
      seen[name] = true
    end
  end
  add(leaving)
  for _, line in ipairs(lines) do
    add(key_at(line))
    add(key_at(line) .. ':hidden')
  end
  add(base .. ':hiding')
  return names
end

local function done()
  local first = redis.call('ZRANGE', leaving, 0, 0, 'WITHSCORES')[2]
  return first and first - 1 or tonumber(redis.call('GET', base .. ':moves') or 0)
end

local lines, copies = lines_of_board(), {}
if kind == 'drop' then
  forget_board()
  redis.call('UNLINK', leaving)
  tell()
elseif kind == 'left' then
  for at = 7, #ARGV, 2 do forget_name(ARGV[at], ARGV[at + 1], lines) end
  tell()
else
  local names = kind == 'leaving' and redis.call('ZRANGE', leaving, 0, -1)
    or kind == 'some' and some(tonumber(ARGV[7]), lines) or {unpack(ARGV, 7)}
  for _, name in ipairs(names) do
    local found = copy(name, lines)
    if found then copies[#copies + 1] = found else redis.call('ZREM', leaving, name) end
  end
end
return {done(), unpack(copies)}
