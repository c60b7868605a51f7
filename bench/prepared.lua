-- wrk --script prepared.lua URL -- FILE [KEYS]
--
-- Sends the requests of FILE in turn. Each is formatted once before the run, so that the generator costs the same for
-- every server. FILE has one request a line: METHOD PATH [BODY], where a body is JSON. If its first line is ORIGIN URL,
-- they all come from a page there. A line CREDENTIAL TEXT is what the requests behind it show.
-- With KEYS each has an idempotency key of its own, which begins so.
-- Prints at the end one line: requests, microseconds, failed.

local prepared, begin, count, at, keys, origin, shown = {}, {}, 0, 0, nil, nil, nil

function init(arguments)
  keys = arguments[2]
  for line in io.lines(arguments[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    local headers = {Origin = origin, Authorization = shown}
    if body ~= "" then
      headers["Content-Type"] = "application/json"
    else
      body = nil
    end
    if method == "ORIGIN" then
      origin = path
    elseif method == "CREDENTIAL" then
      shown = "Bearer " .. path
    else
      count = count + 1
      prepared[count] = wrk.format(method, path, headers, body)
    end
    if keys then
      local line = prepared[count]:find("\r\n", 1, true)
      begin[count] = prepared[count]:sub(1, line + 1) .. "Idempotency-Key: " .. keys
      prepared[count] = prepared[count]:sub(line)
    end
  end
end

function request()
  if keys then
    at = at + 1
    local place = (at - 1) % count + 1
    return begin[place] .. at .. prepared[place]
  end
  at = at % count + 1
  return prepared[at]
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  print(string.format("counted %d %d %d", summary.requests, summary.duration, failed))
end
