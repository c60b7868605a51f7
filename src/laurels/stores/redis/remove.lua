-- remove(B; rules, state, now, place, kind, name)
--
-- kind is "name" or "all". If K is the board, its periods and what is held are meant, too. Returns 1 if there was any,
-- else 0.

if over then forget_board() end
local kind, name = ARGV[5], ARGV[6]

local function unlist(line)
  if not is_there(key_at(line)) then redis.call('ZREM', base .. ':periods', line) end
end

local found
if kind == 'all' and key == base then
  found = board_is_there()
  forget_board()
elseif kind == 'all' then
  found = is_there(key)
  forget(key)
  unlist(ARGV[4])
elseif key ~= base then
  found = take(place_of(key, name), name)
  if ARGV[4] ~= 'held' then unlist(ARGV[4]) end
else
  found = take(place_of(base, name), name)
  if found then
    for _, line in ipairs(redis.call('ZRANGE', base .. ':periods', 0, -1)) do
      local period = key_at(line)
      take(place_of(period, name), name)
      unlist(line)
    end
  end
  found = take(base .. ':held', name) or found
end
forget_if_empty()
if found then tell() end
return found and 1 or 0
