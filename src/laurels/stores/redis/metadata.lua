-- metadata(K, period...; rules, name, metadata with "=" before it or nothing)
--
-- Returns 1 if the name is on K, and has then the metadata there and in the periods that it is on; else 0.

local name, given, answer = ARGV[2], ARGV[3], 0
for at, key in ipairs(KEYS) do
  local entry = entry_of(key, name)
  if entry then
    local details = string.format('%.0f.%.0f', entry.tick, entry.sequence)
    if given ~= '' then details = details .. ' ' .. given:sub(2) end
    redis.call('HSET', key .. ':entries', name, details)
    if at == 1 then answer = 1 end
  elseif at == 1 then
    return 0
  end
end
return answer
