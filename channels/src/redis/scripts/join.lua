-- Adds a member: process, timeout, id, data, bounds.
local limits = bounds(5)
sweep(KEYS[1], KEYS[2], KEYS[3], limits)
if redis.call('DEL', KEYS[1] .. ':v:' .. ARGV[3]) == 1 then
  return 0
end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
renew(KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[2]))
return append(KEYS[1], 'j', ARGV[3] .. '\n' .. ARGV[4], limits)
