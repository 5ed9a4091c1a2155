-- Returns the members, or their number: what, bounds.
sweep(KEYS[1], KEYS[2], KEYS[3], bounds(2))
if ARGV[1] == 'count' then
  return redis.call('HLEN', KEYS[3])
end
return redis.call('HGETALL', KEYS[3])
