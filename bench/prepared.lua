-- wrk --script prepared.lua URL -- FILE
--
-- Sends the requests of FILE in turn. Each is formatted once before the run, so that the generator costs the same for
-- every server. FILE has one request a line: METHOD PATH [BODY], where a body is JSON.
-- Prints at the end one line: requests, microseconds, failed.

local prepared, count, at = {}, 0, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    local headers = {}
    if body ~= "" then
      headers["Content-Type"] = "application/json"
    else
      body = nil
    end
    count = count + 1
    prepared[count] = wrk.format(method, path, headers, body)
  end
end

function request()
  at = at % count + 1
  return prepared[at]
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  print(string.format("counted %d %d %d", summary.requests, summary.duration, failed))
end
