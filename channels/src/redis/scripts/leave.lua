-- Removes a member: id, bounds.
local data = redis.call('HGET', KEYS[3], ARGV[1])
if not data then
  return 0
end
return remove(KEYS[1], KEYS[3], ARGV[1], data, bounds(2))
