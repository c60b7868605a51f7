-- put_many(B; rules, state, now, place, hex, fingerprint, seconds, name, score, name, score...)
--
-- What put.lua does, with scores of names of which no two are the same, under an idempotency key, if there is one; a
-- command for many of them costs a quarter of one for each. Returns 0, or as submit.lua does of a key that was used.

local key, rules, now, hex, FIRST = KEYS[1], ARGV[1], ARGV[3], ARGV[5], 8
local state, how = redis.call('GET', key .. ':state') or '', nil
if state ~= ARGV[2] then
  how = state:match('!(.)$')  -- somebody watches (common.lua)
  if how then state = state:sub(1, -3) end
  if state ~= ARGV[2] then return {'stale', state, redis.call('GET', key .. ':definition') or ''} end
end
local best, down, details = rules:byte(2) == 98, rules:byte(1) == 100, now .. '.1'
local keyed, changed = hex ~= '' and key .. ':key:' .. hex, false

if keyed then
  local first = redis.call('GET', keyed)
  if first and tonumber(first:sub(17, 32)) + ARGV[7] * 1000000 > tonumber(now) then
    if first:sub(1, 16) ~= ARGV[6] then return {'k'} end
    return cmsgpack.unpack(first:sub(33))
  end
end

for first = FIRST, #ARGV, 2000 do  -- Lua's stack has room for some thousands
  local names, kept, times, size = {}, {}, {}, 0
  for at = first, math.min(first + 1998, #ARGV - 1), 2 do names[#names + 1] = ARGV[at] end
  local scores = redis.call('ZMSCORE', key, unpack(names))
  for place, name in ipairs(names) do
    local score, had = ARGV[first + 2 * place - 1], scores[place]
    local value, before = had and tonumber(score), had and tonumber(had)
    if not had or value ~= before and not (best and (value > before) ~= down) then
      kept[size + 1], kept[size + 2] = score, name
      times[size + 1], times[size + 2] = name, details
      size = size + 2
    end
  end
  if size > 0 then
    redis.call('HSET', key .. ':entries', unpack(times))  -- first, as in common.lua
    redis.call('ZADD', key, unpack(kept))
    changed = true
  end
end
if how and changed then  -- as tell of common.lua
  if state == '' then redis.call('DEL', key .. ':state') else redis.call('SET', key .. ':state', state) end
  redis.pcall(how == 's' and 'SPUBLISH' or 'PUBLISH', key .. ':changes', '')
end
if keyed then
  local first = ARGV[6] .. string.format('%016.0f', tonumber(now)) .. cmsgpack.pack(0)
  redis.call('SET', keyed, first, 'EX', ARGV[7])
end
return 0
