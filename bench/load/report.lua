-- wrk's own report is for people; this is the same as one line of JSON. Times are microseconds.
-- wrk calls done() once, at the end. `status` counts answers of 400 and above.
function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"requests":%d,"duration":%d,"p50":%d,"p99":%d,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed))
end
