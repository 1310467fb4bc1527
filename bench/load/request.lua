-- Sends the same request again and again. It is set here and never rebuilt, so wrk calls no Lua while it measures.
-- HEADERS has one header per line.
dofile("report.lua")

wrk.method = os.getenv("METHOD")
wrk.body = os.getenv("BODY")
for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
  wrk.headers[name] = value
end
