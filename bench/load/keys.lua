-- Asks about one key after the other from the file KEYS, which has one a line. The warm-up and the measurement have different
-- halves of it. All keys are of one length, so a request differs from the next in the key alone.
dofile("report.lua")

local keys, nth, head, tail = {}, 0, nil, nil

function init(_)
  for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
    wrk.headers[name] = value
  end
  for line in io.lines(os.getenv("KEYS")) do
    keys[#keys + 1] = line
  end
  nth = tonumber(os.getenv("PHASE")) * math.floor(#keys / 2)
  local request = wrk.format(os.getenv("METHOD"), nil, nil, '{"key":"' .. keys[1] .. '","scopes":["notes:read"]}')
  local from, to = request:find(keys[1], 1, true)
  head, tail = request:sub(1, from - 1), request:sub(to + 1)
end

function request()
  nth = nth % #keys + 1
  return head .. keys[nth] .. tail
end
