-- arrive(B; rules, state, now, place, rate, from, done, copy...)
--
-- Takes over copies of names as leave.lua gives them, each with the number of its words before it: each move once, and
-- none of those up to done. Returns the state from then on.

local rate, from, done = ARGV[5], ARGV[6], tonumber(ARGV[7])
local arrived, settled = base .. ':arrived:' .. from, base .. ':settled:' .. from
local last = math.max(done, tonumber(redis.call('GET', settled) or 0))
redis.call('SET', settled, string.format('%.0f', last))
redis.call('ZREMRANGEBYSCORE', arrived, '-inf', last)

local function take_over(first, stop)
  local name, hidden, meter = ARGV[first], ARGV[first + 2] == '1', ARGV[first + 3]
  if hidden then redis.call('ZADD', base .. ':hiding', 0, name) end
  if meter ~= '' then redis.call('SET', base .. ':meter:' .. rate .. ':' .. name, meter, 'PX', math.max(1, ARGV[first + 4])) end
  for at = first + 5, stop, 3 do
    local line, details = ARGV[at], ARGV[at + 2]
    local key = line == 'held' and base .. ':held' or key_at(line) .. (hidden and ':hidden' or '')
    redis.call('ZADD', key, ARGV[at + 1], name)
    if details ~= '' then redis.call('HSET', key .. ':entries', name, details) end
    if line ~= '' and line ~= 'held' then redis.call('ZADD', base .. ':periods', 0, line) end
  end
end

local at = 8
while at <= #ARGV do
  local size, number = tonumber(ARGV[at]), tonumber(ARGV[at + 2])
  if number > last and redis.call('ZADD', arrived, 'NX', number, number) == 1 then take_over(at + 1, at + size) end
  at = at + size + 1
end
tell()
return set_state(state:match('^[^+@]*'), redis.call('EXISTS', base .. ':hiding') == 1)
