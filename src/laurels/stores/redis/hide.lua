-- hide(B; rules, state, now, place, "hide" or "show", name)
--
-- Returns {1 or 0, state}: whether the name was not hidden, or was, and the state from then on.

if absent then return {'stale', state, ''} end
if over then forget_board() end
local list, name, hiding = base .. ':hiding', ARGV[6], ARGV[5] == 'hide'
local was = redis.call('ZSCORE', list, name)
if (was and true or false) == hiding then return {0, state} end

local function move(key)
  local from, to = key, key .. ':hidden'
  if not hiding then from, to = to, from end
  local entry = take(from, name)
  if entry then
    keep(to, name, nil, entry.score, entry.tick, entry.sequence, entry.metadata)
    if ttl then expire(key, math.max(1, redis.call('PTTL', base .. ':end'))) end
  end
end

move(base)
for _, each in ipairs(periods_of_board()) do move(each) end
if hiding then redis.call('ZADD', list, 0, name) else redis.call('ZREM', list, name) end
tell()
return {1, set_state(state:match('^[^+@]*'), redis.call('EXISTS', list) == 1)}
