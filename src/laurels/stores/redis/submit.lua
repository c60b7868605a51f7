-- submit(B; rules, state, now, place, flags, minimum, maximum, hex, fingerprint, seconds, guard..., n, fed..., entry...)
--
-- flags are letters: w, a whole score alone is kept; c, the change is wanted; m, it is a batch; r, a held entry is
-- released, which is the only entry. hex is that of an idempotency key, or empty. guard is four values, each empty if
-- there is none: max_step, hold_above, the name of the rate, "microseconds between two, microseconds in all". n is how
-- many periods are fed, "window\nperiod" each. An entry is seven values: name, score, metadata with "=" before it or
-- nothing, time or nothing ("tick.sequence" of what is released), the periods that it feeds (places among those fed,
-- with commas between, each with ":" and the oldest period kept), the letter of its operator or nothing, and its run
-- behind a letter (f, fresh; o, too old; y, too young) and the milliseconds to remember it for, or nothing.
--
-- Returns 0 if there is nothing to say; {"c", score, rank, score, rank, counted, held} of a change, where a score is
-- empty if there is no entry; {"r", index, problem, figure...} for refusals of a batch; {"x", problem, figure} for that
-- of one submission: s, the score to which its own cannot be added; t, that from which the step is too long; p, by how
-- many microseconds it comes too early; u, o, y, its run is used, too old or too young; n, nothing is held. {"k"} for a
-- key that was used with another fingerprint.

if absent then return {'stale', state, ''} end
local flags, minimum, maximum = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local hex, fingerprint, seconds = ARGV[8], ARGV[9], tonumber(ARGV[10])
local max_step, hold_above, rate = tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13]
local interval, span = ARGV[14]:match('^(%d+) (%d+)$')
local fed_count = tonumber(ARGV[15])
local whole, wants_change = flags:find('w', 1, true), flags:find('c', 1, true)
local batch, releases = flags:find('m', 1, true), flags:find('r', 1, true)
local keyed = hex ~= '' and base .. ':key:' .. hex
local held_key = base .. ':held'

if keyed then
  local first = redis.call('GET', keyed)
  if first and tonumber(first:sub(17, 32)) + seconds * 1000000 > now then
    if first:sub(1, 16) ~= fingerprint then return {'k'} end
    return cmsgpack.unpack(first:sub(33))
  end
end
if over then forget_board() end

local clock, sequence = now, 0
local has_clock = timed or guarded
if has_clock then
  local tick, count = (redis.call('GET', base .. ':clock') or '0 0'):match('^(%d+) (%d+)$')
  clock, sequence = math.max(now, tonumber(tick)), tonumber(count)
end

-- Submit to one board or period by an operator; return whether that changed it. sent: name, score, metadata, tick and
-- sequence that it is dated as of, if it is.
local function submit(key, by, sent)
  local name, score, metadata = sent.name, sent.score, sent.metadata
  local had = entry_of(key, name)
  local tick = sent.tick or clock
  if not had then
    keep(key, name, nil, score, tick, sequence, metadata)
    return true
  end
  local older = sent.tick and (had.tick > tick or had.tick == tick and sent.sequence and had.sequence > sent.sequence)
  local value, before = tonumber(score), tonumber(had.score)
  if by == 'i' then
    local sum = text(value + before)
    if older then
      keep(key, name, had, sum, had.tick, had.sequence, had.metadata)
      return value + before ~= before
    end
    if value + before == before and not metadata then return false end
    keep(key, name, had, sum, tick, sequence, metadata)
    return true
  end
  if value == before then
    if older and by == 'b' then
      keep(key, name, had, had.score, tick, sequence, metadata or had.metadata)
      return true
    end
    if older or not metadata or metadata == had.metadata then return false end
    keep(key, name, had, had.score, had.tick, had.sequence, metadata)
    return true
  end
  if by == 'l' and older then return false end
  if by == 'b' and (value > before) ~= down then return false end
  keep(key, name, had, score, tick, sequence, metadata)
  return true
end

-- Whether a thousand times a loss, which is not less than 0, is more than a score, exactly: by halves of the digits.
local function is_too_much(lost, score)
  local product = lost * 1000
  if product ~= score then return product > score end
  local split = lost * 134217729
  local high = split - (split - lost)
  return (high * 1000 - product) + (lost - high) * 1000 > 0
end

-- Return the score that a name has (a string) if a sum with it cannot be kept, else nil.
local function refused(key, name, score, bounded)
  local had = entry_of(key, name)
  local before = had and tonumber(had.score) or 0
  local sum = before + score
  local added = sum - before
  local lost = (before - (sum - added)) + (score - added)  -- exact: Knuth's two-sum
  local inexact = lost ~= 0
    and ((before % 1 == 0 and score % 1 == 0) or is_too_much(math.abs(lost), math.abs(score)))
  local outside = bounded
    and ((minimum and sum < minimum) or (maximum and sum > maximum) or (whole and sum % 1 ~= 0))
  if sum - sum ~= 0 or inexact or outside then return had and had.score or '0' end
end

-- A period that begins: put it into the list, and remove those that are too old to be kept.
local function begin_period(line, oldest)
  if is_there(key_at(line)) then return end
  local list, window = base .. ':periods', line:match('^[^\n]*')
  redis.call('ZADD', list, 0, line)
  if oldest == '' then return end
  local past = redis.call('ZRANGEBYLEX', list, '[' .. window .. '\n', '(' .. window .. '\n' .. oldest)
  for _, each in ipairs(past) do
    forget(key_at(each))
    redis.call('ZREM', list, each)
  end
end

-- Judge a submission as the board's guard does: return a problem and its figure, or whether it is to be held.
local function judge(sent, by, run)
  local name, score = sent.name, tonumber(sent.score)
  local used, meter = nil, nil
  if run ~= '' then
    used = base .. ':run:' .. run:match(' (.*)$')
    if redis.call('EXISTS', used) == 1 then return 'u', 0 end
    if run:sub(1, 1) ~= 'f' then return run:sub(1, 1), 0 end
  end
  local full = now
  if rate ~= '' then
    meter = base .. ':meter:' .. rate .. ':' .. name
    full = math.max(tonumber(redis.call('GET', meter) or 0), now) + interval
    if full - now > tonumber(span) then return 'p', full - now - span end
  end
  local had = entry_of(place_of(base, name), name)
  local before = had and tonumber(had.score) or nil
  local from = by ~= 'i' and before or by == 'i' and 0 or nil
  if max_step and from and (down and score - from or from - score) > max_step then
    return 't', by == 'i' and '0' or had.score
  end
  local total = by == 'i' and (before or 0) + score or score
  local held = false
  if hold_above then held = down and total > hold_above or not down and total < hold_above end
  local problem = held and by == 'i' and refused(held_key, name, score, false)
  if problem then return 's', problem end
  if meter then
    redis.call('SET', meter, string.format('%.0f', full), 'PX', string.format('%.0f', (full - now) / 1000 + 1000))
  end
  if used then redis.call('SET', used, '', 'PX', run:match('^%a(%d+)')) end
  return nil, held
end

local answer, refusals, at = 0, {'r'}, 16 + fed_count
local taken, previous, current, counted, held = false, nil, nil, false, false

-- Return a problem and its figure, or nil.
local function take_entry(sent, feeds, by, own, run)
  local place = place_of(base, sent.name)
  if by == 'i' then
    local problem = refused(place, sent.name, tonumber(sent.score), true)
    for _, feed in ipairs(feeds) do
      problem = problem or refused(place_of(key_at(feed[1]), sent.name), sent.name, tonumber(sent.score), false)
    end
    if problem then return 's', problem end
  end
  held = false
  if guarded and own and not releases then
    local problem, figure = judge(sent, by, run)
    if problem then return problem, figure end
    held = figure
  end
  local tells = not batch and (wants_change or keyed)
  if tells then previous = standing_of(base, sent.name) or {'', is_hidden(sent.name) and -1 or 0} end
  sequence, taken = sequence + 1, true
  if held then
    counted = false
    submit(held_key, by, sent)
  else
    counted = submit(place, by, sent)
    for _, feed in ipairs(feeds) do
      local period = place_of(key_at(feed[1]), sent.name)
      if not entry_of(period, sent.name) then begin_period(feed[1], feed[2]) end
      counted = submit(period, by, sent) or counted
    end
  end
  if tells then current = standing_of(base, sent.name) or {'', is_hidden(sent.name) and -1 or 0} end
end

for index = 0, (#ARGV - at + 1) / 7 - 1 do
  local first = at + index * 7
  local sent = {name = ARGV[first], score = ARGV[first + 1]}
  if ARGV[first + 2] ~= '' then sent.metadata = ARGV[first + 2]:sub(2) end
  local when, feeds = ARGV[first + 3], {}
  if releases then
    local entry = entry_of(held_key, sent.name)
    if not entry or when ~= string.format('%.0f.%.0f', entry.tick, entry.sequence) then return {'x', 'n', 0} end
    sent.tick, sent.sequence, sent.score, sent.metadata = entry.tick, entry.sequence, entry.score, entry.metadata
  elseif when ~= '' then
    sent.tick = math.min(tonumber(when), clock)
  end
  for place, oldest in ARGV[first + 4]:gmatch('(%d+):([^,]*)') do
    feeds[#feeds + 1] = {ARGV[15 + tonumber(place)], oldest}
  end
  local by, own = ARGV[first + 5], ARGV[first + 5] == ''
  local problem, figure = take_entry(sent, feeds, own and operator or by, own, ARGV[first + 6])
  if problem then
    if not batch then return {'x', problem, figure} end
    refusals[#refusals + 1] = index
    refusals[#refusals + 1] = problem
    refusals[#refusals + 1] = figure
  elseif releases then
    take(held_key, sent.name)
  end
end
if has_clock and taken then
  redis.call('SET', base .. ':clock', string.format('%.0f %.0f', clock, sequence), 'KEEPTTL')
end
if ttl and taken then renew(now) end
if taken then tell() end

if current then
  answer = {'c', previous[1], previous[2], current[1], current[2], counted and 1 or 0, held and 1 or 0}
elseif batch and #refusals > 1 then
  answer = refusals
end
if keyed then
  local first = fingerprint .. string.format('%016.0f', now) .. cmsgpack.pack(answer)
  redis.call('SET', keyed, first, 'EX', ARGV[10])
end
return answer
