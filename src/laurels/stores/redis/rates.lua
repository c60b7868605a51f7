-- rates(K; count, interval and tolerance of requests, interval and tolerance of submits)
--
--   K    string: when the next request and the next submit are due, at the rate, in microseconds of the server's clock
--
-- Microseconds all; an interval of 0 is no limit. Counts as many of ``count`` requests as need not wait, by the algorithm
-- that access/rates.pyx describes, and returns how many, and how far away the two due times are then.

local time = redis.call('TIME')
local now, counted = time[1] * 1000000 + time[2], tonumber(ARGV[1])
local due, is_changed = {now, now}, false
local kept = redis.call('GET', KEYS[1])
if kept then
  local requests, submits = kept:match('^(%S+) (%S+)$')
  due = {math.max(now, tonumber(requests)), math.max(now, tonumber(submits))}
end
for i = 1, 2 do
  local interval, tolerance = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  if interval > 0 then
    if due[i] > now + tolerance + interval then  -- the limit was another, or the clock is set back
      due[i], is_changed = now + tolerance + interval, true
    end
    counted = math.min(counted, math.floor((now + tolerance + 1 - due[i]) / interval) + 1)
  end
end
counted = math.max(0, counted)
if counted > 0 or is_changed then
  due = {due[1] + counted * ARGV[2], due[2] + counted * ARGV[4]}
  local last = math.ceil((math.max(due[1], due[2]) - now) / 1000)
  redis.call('SET', KEYS[1], string.format('%.2f %.2f', due[1], due[2]), 'PX', math.max(1, last))
end
return {counted, due[1] - now, due[2] - now}
