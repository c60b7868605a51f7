-- enter(B; rules, state, now, place, wanted, name, score, metadata, hex, fingerprint, seconds, guard..., period...)
--
-- What submit.lua does with one submission, by the operator of the board, if that does not add; without time and run, if
-- no name is hidden. The arguments are those of submit.lua: "c" or nothing, metadata or nothing, a period as
-- "window:period". Most submits that put.lua does not do are so; without functions and tables it costs half, or less.
--
-- Returns 1 if it did nothing, because more is to be done: a board or period begins, or its time is over; its keys need
-- another expiry; the score is to be held. Else as submit.lua, but 0 if the change is not wanted.

local call, base, rules = redis.call, KEYS[1], ARGV[1]
local tick, wanted, name, score, metadata, hex = ARGV[3], ARGV[5] ~= '', ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local meter, FIRST, TICKS, SEQUENCES = base .. ':meter:' .. ARGV[14] .. ':' .. name, 16, 2 ^ 53 - 1, 2 ^ 40 - 1
local known = call('MGET', base .. ':state', base .. ':key:' .. hex, base .. ':clock', base .. ':end', meter)
local state, how = known[1] or '', nil
if state ~= ARGV[2] then
  how = state:match('!(.)$')  -- somebody watches (common.lua)
  if how then state = state:sub(1, -3) end
  if state ~= ARGV[2] then return {'stale', state, call('GET', base .. ':definition') or ''} end
end

local order, operator, ties, ranking, guard = rules:byte(1, 5)
local down, timed, dense, guarded = order == 100, ties ~= 110, ranking == 100, guard == 103
local ttl, now, value = #rules > 5 and tonumber(rules:sub(6)), tonumber(tick), tonumber(score)

if hex ~= '' and known[2] and tonumber(known[2]:sub(17, 32)) + ARGV[11] * 1000000 > now then
  if known[2]:sub(1, 16) ~= ARGV[10] then return {'k'} end
  return wanted and cmsgpack.unpack(known[2]:sub(33)) or 0
end
if ttl then
  if not known[4] or tonumber(known[4]:match('^%d+')) <= now then return 1 end
  if call('PTTL', base .. ':end') < ttl / 1000 + 60000 then return 1 end
end
local keys = {base, nil, nil, nil}
for at = FIRST, #ARGV do keys[at - FIRST + 2] = base .. ':' .. ARGV[at] end
if (ttl or keys[2]) and call('EXISTS', unpack(keys)) < #keys then return 1 end

local sequence = 1
if (timed or guarded) and known[3] then
  local last, count = known[3]:match('^(%d+) (%d+)$')
  if tonumber(last) > now then tick = last end
  sequence = count + 1
end
local inverted, member = (ties == 101) == down, name  -- members are as in common.lua
if inverted and timed then
  member = struct.pack('>I7I5', TICKS - tick, SEQUENCES - sequence) .. name
elseif timed then
  member = struct.pack('>I7I5', tick, sequence) .. name
end
local order_of, described = tick .. '.' .. sequence, metadata ~= ''
local details = described and order_of .. ' ' .. metadata or order_of

local function rank_of(which, of)
  if ranking == 111 then return call(down and 'ZREVRANK' or 'ZRANK', base, which) end
  local counted = dense and base .. ':scores' or base
  if down then return call('ZCOUNT', counted, '(' .. of, '+inf') end
  return call('ZCOUNT', counted, '-inf', '(' .. of)
end

local answer, counted = nil, 0
for at, key in ipairs(keys) do
  local entries, old, kept = key .. ':entries', name, nil
  if timed then
    kept = call('HGET', entries, name)
    if kept then
      local first, second = kept:match('^(%d+)%.(%d+)')
      if inverted then first, second = TICKS - first, SEQUENCES - second end
      old = struct.pack('>I7I5', first, second) .. name
    end
  end
  local had = (kept or not timed) and call('ZSCORE', key, old)
  local before = tonumber(had)

  if at == 1 then
    if guarded then
      local max_step, most, full = tonumber(ARGV[12]), tonumber(ARGV[13]), nil
      if ARGV[14] ~= '' then
        local interval, span = ARGV[15]:match('^(%d+) (%d+)$')
        full = math.max(tonumber(known[5] or 0), now) + interval
        if full - now > tonumber(span) then return {'x', 'p', full - now - span} end
      end
      if before and max_step and (down and value - before or before - value) > max_step then return {'x', 't', had} end
      if most and (down and value > most or not down and value < most) then return 1 end
      if full then call('SET', meter, full, 'PX', math.ceil((full - now) / 1000 + 1000)) end
    end
    if wanted or hex ~= '' then answer = {'c', had or '', had and rank_of(old, had) or 0, had or '', 0, 0, 0} end
  end

  if before == value then
    kept = described and (kept or call('HGET', entries, name) or '0.0')
    local when, what = (kept or ''):match('^(%S+) ?(.*)$')
    if described and what ~= metadata then
      call('HSET', entries, name, when .. ' ' .. metadata)
      counted = 1
    end
    if at == 1 and answer then answer[5] = answer[3] end
  elseif before and operator == 98 and (value > before) ~= down then  -- best
    if at == 1 and answer then answer[5] = answer[3] end
  else
    call('HSET', entries, name, details)  -- first, as in common.lua
    call('ZADD', key, score, member)
    if before and old ~= member then call('ZREM', key, old) end
    if dense then
      local scores = key .. ':scores'
      call('ZADD', scores, score, score)
      if before and call('ZCOUNT', key, had, had) == 0 then call('ZREMRANGEBYSCORE', scores, had, had) end
    end
    if at == 1 and answer then answer[4], answer[5] = score, rank_of(member, score) end
    counted = 1
  end
end

if how and counted == 1 then  -- as tell of common.lua
  if state == '' then call('DEL', base .. ':state') else call('SET', base .. ':state', state) end
  redis.pcall(how == 's' and 'SPUBLISH' or 'PUBLISH', base .. ':changes', '')
end
if timed or guarded then call('SET', base .. ':clock', tick .. ' ' .. sequence, 'KEEPTTL') end
if ttl then call('SET', base .. ':end', string.format('%.0f %s', now + ttl, ARGV[3]), 'KEEPTTL') end
if answer then answer[6] = counted end
if hex ~= '' then
  local when = #ARGV[3] == 16 and ARGV[3] or string.format('%016.0f', now)
  call('SET', base .. ':key:' .. hex, ARGV[10] .. when .. cmsgpack.pack(answer), 'EX', ARGV[11])
end
return wanted and answer or 0
