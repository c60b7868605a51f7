-- remove(K; rules, board's own key or nothing, prefix, kind, name)
--
-- kind is "name" or "all". If K is the board's, its periods are meant, too; if it is a period's, that alone, and the
-- second argument is the board's key. Returns 1 if it was there, else 0.

local key, board, prefix, kind, name = KEYS[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local list = (board == '' and key or board) .. ':periods'

local function forget(each)
  redis.call('UNLINK', each, each .. ':entries', each .. ':scores', each .. ':counts')
end

local function remove(each)
  local entry = entry_of(each, name)
  if not entry then return false end
  redis.call('ZREM', each, entry.member)
  redis.call('HDEL', each .. ':entries', name)
  if ranking == 'd' and redis.call('HINCRBY', each .. ':counts', entry.score, -1) == 0 then
    redis.call('HDEL', each .. ':counts', entry.score)
    redis.call('ZREM', each .. ':scores', entry.score)
  end
  return true
end

local function unlist(each)
  if redis.call('EXISTS', each) == 0 then
    local window, period = each:sub(#prefix + 1):match('^(.*):([^:]*)$')
    redis.call('ZREM', list, window .. '\n' .. period)
  end
end

if board ~= '' then
  local found = kind == 'all' and redis.call('EXISTS', key) == 1 or kind == 'name' and remove(key)
  if kind == 'all' then forget(key) end
  unlist(key)
  return found and 1 or 0
end

local periods = redis.call('ZRANGE', list, 0, -1)
local found
if kind == 'all' then
  found = redis.call('EXISTS', key) == 1
  forget(key)
  for _, each in ipairs(periods) do forget(prefix .. each:gsub('\n', ':')) end
  redis.call('UNLINK', list)
else
  found = remove(key)
  if found then
    for _, each in ipairs(periods) do
      local period = prefix .. each:gsub('\n', ':')
      remove(period)
      unlist(period)
    end
  end
end
if redis.call('EXISTS', key) == 0 then redis.call('UNLINK', key .. ':clock') end
return found and 1 or 0
