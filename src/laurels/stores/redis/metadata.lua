-- metadata(B; rules, state, now, place, name, metadata with "=" before it or nothing, fed...)
--
-- Returns 1 if the name is on K, and has then the metadata there and in those of the fed periods that it is in; else 0.

if over then forget_board() end
local name, given = ARGV[5], ARGV[6]
local keys = {key}
for at = 7, #ARGV do keys[#keys + 1] = key_at(ARGV[at]) end
local answer = 0
for at, each in ipairs(keys) do
  local place = place_of(each, name)
  local entry = entry_of(place, name)
  if entry then
    local details = string.format('%.0f.%.0f', entry.tick, entry.sequence)
    if given ~= '' then details = details .. ' ' .. given:sub(2) end
    redis.call('HSET', place .. ':entries', name, details)
    if at == 1 then answer = 1 end
  end
end
tell()
return answer
