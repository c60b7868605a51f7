-- enter(B; rules, state, now, place, wanted, name, score, metadata, hex, fingerprint, seconds, guard..., period...)
--
-- What submit.lua does with one submission, by the operator of the board, if that does not add; without time and run, if
-- no name is hidden. The arguments are those of submit.lua: "c" or nothing, metadata or nothing, a period as
-- "window:period". Most submits that put.lua does not do are so; without functions and tables it costs half, or less.
--
-- Returns 1 if it did nothing, because more is to be done: a board or period begins, or its time is over; its keys need
-- another expiry; the score is to be held. Else as submit.lua, but 0 if the change is not wanted.

local call, base, rules, state = redis.call, KEYS[1], ARGV[1], ARGV[2]
local wanted, name, score, metadata, hex, rate = ARGV[5] ~= '', ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[14]
local keyed, FIRST = hex ~= '', 16
local known = call(
  'MGET', base .. ':state', base .. ':key:' .. hex, base .. ':clock', base .. ':end', base .. ':meter:' .. rate .. ':' .. name
)
if (known[1] or '') ~= state then return {'stale', known[1] or '', call('GET', base .. ':definition') or ''} end

local down, best, ties, ranking = rules:byte(1) == 100, rules:byte(2) == 98, rules:byte(3), rules:byte(4)
local timed, dense, guarded = ties ~= 110, ranking == 100, rules:byte(5) == 103
local ttl, now, value = #rules > 5 and tonumber(rules:sub(6)), tonumber(ARGV[3]), tonumber(score)

if keyed and known[2] and tonumber(known[2]:sub(17, 32)) + ARGV[11] * 1000000 > now then
  if known[2]:sub(1, 16) ~= ARGV[10] then return {'k'} end
  return wanted and cmsgpack.unpack(known[2]:sub(33)) or 0
end
if ttl then
  local ends = known[4]
  if not ends or tonumber(ends:match('^%d+')) <= now then return 1 end
  if call('PTTL', base .. ':end') < ttl / 1000 + 60000 then return 1 end
end

local tick, sequence = ARGV[3], 1
if (timed or guarded) and known[3] then
  local last, count = known[3]:match('^(%d+) (%d+)$')
  if tonumber(last) > now then tick = last end
  sequence = count + 1
end

-- What there is. Members are as in common.lua.
local inverted, member = (ties == 101) == down, name
if timed then
  local first, second = tick, sequence
  if inverted then first, second = 2 ^ 53 - 1 - tick, 2 ^ 40 - 1 - sequence end
  member = struct.pack('>I7I5', first, second) .. name
end
local keys, members, scores, details = {base}, {}, {}, {}
for at = FIRST, #ARGV do keys[at - FIRST + 2] = base .. ':' .. ARGV[at] end
for at, key in ipairs(keys) do
  local old, kept = name, timed and call('HGET', key .. ':entries', name)
  if kept then
    local first, second = kept:match('^(%d+)%.(%d+)')
    if inverted then first, second = 2 ^ 53 - 1 - first, 2 ^ 40 - 1 - second end
    old = struct.pack('>I7I5', first, second) .. name
  end
  members[at], details[at] = old, kept
  scores[at] = (kept or not timed) and call('ZSCORE', key, old)
  if not scores[at] and (ttl or at > 1) and call('EXISTS', key) == 0 then return 1 end
end

local had, full = scores[1], now
if guarded then
  if rate ~= '' then
    local interval, span = ARGV[15]:match('^(%d+) (%d+)$')
    full = math.max(tonumber(known[5] or 0), now) + interval
    if full - now > tonumber(span) then return {'x', 'p', full - now - span} end
  end
  if had and ARGV[12] ~= '' and (down and value - had or had - value) > tonumber(ARGV[12]) then return {'x', 't', had} end
  local most = tonumber(ARGV[13])
  if most and (down and value > most or not down and value < most) then return 1 end
  if rate ~= '' then call('SET', base .. ':meter:' .. rate .. ':' .. name, full, 'PX', math.ceil((full - now) / 1000 + 1000)) end
end

local function rank_of(which, of)
  if ranking == 111 then return call(down and 'ZREVRANK' or 'ZRANK', base, which) end
  local counted = dense and base .. ':scores' or base
  if down then return call('ZCOUNT', counted, '(' .. of, '+inf') end
  return call('ZCOUNT', counted, '-inf', '(' .. of)
end

local answer, counted = 0, 0
if keyed or wanted then answer = {'c', had or '', had and rank_of(members[1], had) or 0, had, 0, 0, 0} end
local entry = tick .. '.' .. sequence
if metadata ~= '' then entry = entry .. ' ' .. metadata end
for at, key in ipairs(keys) do
  local old, before = members[at], tonumber(scores[at])
  if before == value then
    local kept = metadata ~= '' and (details[at] or call('HGET', key .. ':entries', name) or '0.0')
    local when, what = (kept or ''):match('^(%S+) ?(.*)$')
    if when and what ~= metadata then
      call('HSET', key .. ':entries', name, when .. ' ' .. metadata)
      counted = 1
    end
  elseif not before or not best or (value > before) == down then
    call('ZADD', key, score, member)
    if before and old ~= member then call('ZREM', key, old) end
    if dense then
      call('ZADD', key .. ':scores', score, score)
      if before and call('ZCOUNT', key, before, before) == 0 then call('ZREMRANGEBYSCORE', key .. ':scores', before, before) end
    end
    call('HSET', key .. ':entries', name, entry)
    if at == 1 then members[1], had = member, score end
    counted = 1
  end
end

if timed or guarded then call('SET', base .. ':clock', tick .. ' ' .. sequence, 'KEEPTTL') end
if ttl then call('SET', base .. ':end', string.format('%.0f %s', now + ttl, ARGV[3]), 'KEEPTTL') end
if answer ~= 0 then answer[4], answer[5], answer[6] = had, rank_of(members[1], had), counted end
if keyed then
  call('SET', base .. ':key:' .. hex, ARGV[10] .. string.format('%016.0f', now) .. cmsgpack.pack(answer), 'EX', ARGV[11])
end
return wanted and answer or 0
