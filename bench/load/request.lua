-- The same request again and again. It is set once and never built again, so wrk calls no Lua while it measures.
-- HEADERS has a header a line.
dofile("report.lua")

wrk.method = os.getenv("METHOD")
wrk.body = os.getenv("BODY")
for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
  wrk.headers[name] = value
end
