-- Returns the number of the last event. A stream that is not there begins with a marker, so that what is
-- published next has a predecessor: bounds.
local limits = bounds(1)
local number = head(KEYS[1], limits)
if number == 0 then
  return append(KEYS[1], 's', '', limits)
end
redis.call('PEXPIRE', KEYS[1], limits.milliseconds)
return number
