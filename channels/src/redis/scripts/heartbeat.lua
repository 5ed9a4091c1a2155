-- Keeps a topic whose events or members this process has: process or nothing, timeout, bounds. An inbox has one key.
-- Returns the number of the last event, and whether the process was known.
local limits = bounds(3)
local known = 1
if KEYS[2] then
  sweep(KEYS[1], KEYS[2], KEYS[3], limits)
  if ARGV[1] ~= '' then
    known = redis.call('ZSCORE', KEYS[2], ARGV[1]) and redis.call('EXISTS', KEYS[3])
    renew(KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[2]))
  end
end
redis.call('PEXPIRE', KEYS[1], limits.milliseconds)
local number = last(KEYS[1])
return { number, known or 0 }
