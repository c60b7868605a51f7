-- rates(K; interval and tolerance of requests, interval and tolerance of submits)
--
--   K    string: when the next request and the next submit are due, at the rate, in microseconds of the server's clock
--
-- Microseconds all; an interval of 0 is no limit. Counts a request unless it must wait, by the algorithm that
-- access/rates.pyx describes, and returns whether it did, and how far away the two due times are then.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due, waits, is_changed = {now, now}, false, false
local kept = redis.call('GET', KEYS[1])
if kept then
  local requests, submits = kept:match('^(%S+) (%S+)$')
  due = {math.max(now, tonumber(requests)), math.max(now, tonumber(submits))}
end
for i = 1, 2 do
  local interval, tolerance = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  if interval > 0 then
    if due[i] > now + tolerance + interval then  -- the limit was another, or the clock is set back
      due[i], is_changed = now + tolerance + interval, true
    end
    waits = waits or due[i] - tolerance - now > 1
  end
end
if not waits then
  due = {due[1] + ARGV[1], due[2] + ARGV[3]}
end
if not waits or is_changed then
  local last = math.ceil((math.max(due[1], due[2]) - now) / 1000)
  redis.call('SET', KEYS[1], string.format('%.2f %.2f', due[1], due[2]), 'PX', math.max(1, last))
end
return {waits and 0 or 1, due[1] - now, due[2] - now}
