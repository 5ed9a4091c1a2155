-- Returns the events after a number. A stream that has not reached a number which it has announced before has
-- lost its data, and goes on with a marker above it: after, reached, count, bounds.
local limits = bounds(4)
local reached = tonumber(ARGV[2])
if head(KEYS[1], limits) < reached then
  limits.floor = math.max(limits.floor, reached)
  append(KEYS[1], 's', '', limits)
end
return redis.call('XRANGE', KEYS[1], ARGV[1] .. '-1', '+', 'COUNT', ARGV[3])
