-- Chains of refresh tokens (RFC 6749 section 6): what an answer brought is what the next request sends.
--
-- wrk does not say which connection asks, and it does not matter: a token lies in `live` or is on its way, never both,
-- so none is presented twice. There are as many chains at work as connections.
dofile("report.lua")

local live = {}
local headers = {
  ["Content-Type"] = "application/x-www-form-urlencoded",
  ["Authorization"] = os.getenv("AUTHORIZATION"),
}

function init(_)
  for token in io.lines(os.getenv("TOKENS")) do
    live[#live + 1] = token
  end
end

function request()
  local token = table.remove(live) or error("no refresh token is left: too many answers brought none")
  return wrk.format("POST", nil, headers, "grant_type=refresh_token&refresh_token=" .. token)
end

function response(status, _, body)
  local successor = status == 200 and body:match('"refresh_token":"([^"]+)"')
  if successor then
    live[#live + 1] = successor
  end
end
