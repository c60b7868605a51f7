-- define(B; rules, state, now, place, mode, new rules, digest, definition, changed, zone, minimum, maximum, whole, most,
--        window...)
--
-- mode is "check", "keep", or "force", which asks nothing. rules are those until now, new rules those from then on. definition is JSON, nothing if the
-- board is to have none. changed is "1" if order, operator, ties or partitions are others; zone, if the time zone is.
-- whole is "1" if from then on only whole scores are accepted. The windows are those from then on.
--
-- Returns {"d", state}; or, if stored entries contradict, {"c", entries, least, greatest, held, is whole, window...},
-- the windows being those that have periods; or {"m", entries} if they are more than can be looked at, or ranked anew, in
-- one act.

if over and ARGV[5] ~= 'check' then forget_board() end
local new_rules, digest, definition = ARGV[6], ARGV[7], ARGV[8]
local changed, zone, whole, most = ARGV[9] == '1', ARGV[10] == '1', ARGV[13] == '1', tonumber(ARGV[14])
local minimum, maximum = tonumber(ARGV[11]), tonumber(ARGV[12])
local kept = {}
for at = 15, #ARGV do kept[ARGV[at]] = true end
local AT_ONCE = 1000

local entries, least, greatest = 0, nil, nil
for _, each in ipairs({base, base .. ':hidden'}) do
  entries = entries + redis.call('ZCARD', each)
  local first, last = redis.call('ZRANGE', each, 0, 0, 'WITHSCORES')[2], redis.call('ZRANGE', each, -1, -1, 'WITHSCORES')[2]
  if first and (not least or tonumber(first) < tonumber(least)) then least = first end
  if last and (not greatest or tonumber(last) > tonumber(greatest)) then greatest = last end
end
local held = redis.call('ZCARD', base .. ':held')
local windows, at = {}, '-'
while true do
  local line = redis.call('ZRANGEBYLEX', base .. ':periods', at, '+', 'LIMIT', 0, 1)[1]
  if not line then break end
  windows[#windows + 1] = line:match('^[^\n]*')
  at = '(' .. windows[#windows] .. '\n\255'
end
if over then entries, held, windows, least, greatest = 0, 0, {}, nil, nil end

local function in_parts(key, act)
  for first = 0, redis.call('ZCARD', key) - 1, AT_ONCE do
    local part = redis.call('ZRANGE', key, first, first + AT_ONCE - 1, 'WITHSCORES')
    for place = 2, #part, 2 do act(part[place]) end
  end
end

local are_whole, dense = true, new_rules:sub(4, 4) == 'd'
if whole and entries > 0 then
  if entries > most then return {'m', entries} end
  for _, each in ipairs({base, base .. ':hidden'}) do
    in_parts(each, function(score) if tonumber(score) % 1 ~= 0 then are_whole = false end end)
  end
end
local contradicts = changed and (entries > 0 or held > 0) or zone and #windows > 0 or not are_whole
if entries > 0 then
  contradicts = contradicts or minimum and tonumber(least) < minimum or maximum and tonumber(greatest) > maximum
end
for _, window in ipairs(windows) do contradicts = contradicts or not kept[window] end
if contradicts and ARGV[5] ~= 'force' then return {'c', entries, least or '0', greatest or '0', held, are_whole and 1 or 0, unpack(windows)} end

local keys = over and {} or periods_of_board()
keys[#keys + 1] = base
if dense and ranking ~= 'd' then
  local all = 0
  for _, each in ipairs(keys) do all = all + redis.call('ZCARD', each) end
  if all > most then return {'m', all} end
end
if ARGV[5] == 'check' then return {'d', state} end

for _, each in ipairs(keys) do
  if ranking == 'd' and not dense then redis.call('UNLINK', each .. ':scores') end
  if dense and ranking ~= 'd' then
    in_parts(each, function(score) redis.call('ZADD', each .. ':scores', score, text(tonumber(score) + 0)) end)
  end
end

ttl = tonumber(new_rules:sub(6))
local ends = redis.call('GET', base .. ':end')
if ttl and board_is_there() then
  renew(ends and tonumber(ends:match('(%d+)$')) or now)
elseif ends and not ttl then
  for _, each in ipairs(keys) do
    for _, kind in ipairs(KINDS) do redis.call('PERSIST', each .. kind) end
  end
  for _, kind in ipairs({'held', 'held:entries', 'periods', 'clock'}) do redis.call('PERSIST', base .. ':' .. kind) end
  redis.call('DEL', base .. ':end')
end
if definition == '' then
  redis.call('DEL', base .. ':definition')
else
  redis.call('SET', base .. ':definition', definition)
end
tell()
return {'d', set_state(digest, hides)}
