-- put_many(B; rules, state, now, place, name, score, name, score...)
--
-- What put.lua does, with scores of names of which no two are the same; a command for many of them costs a quarter of
-- one for each.

local key, rules, details = KEYS[1], ARGV[1], ARGV[3] .. '.1'
local state = redis.call('GET', key .. ':state') or ''
if state ~= ARGV[2] then return {'stale', state, redis.call('GET', key .. ':definition') or ''} end
local best, down = rules:byte(2) == 98, rules:byte(1) == 100

for first = 5, #ARGV, 2000 do  -- Lua's stack has room for some thousands
  local names, kept, times = {}, {}, {}
  for at = first, math.min(first + 1998, #ARGV - 1), 2 do names[#names + 1] = ARGV[at] end
  local scores = redis.call('ZMSCORE', key, unpack(names))
  for place, name in ipairs(names) do
    local score, had = ARGV[first + 2 * place - 1], scores[place]
    local value, before = tonumber(score), had and tonumber(had)
    if not had or value ~= before and not (best and (value > before) ~= down) then
      kept[#kept + 1], kept[#kept + 2] = score, name
      times[#times + 1], times[#times + 2] = name, details
    end
  end
  if kept[1] then
    redis.call('ZADD', key, unpack(kept))
    redis.call('HSET', key .. ':entries', unpack(times))
  end
end
return 0
