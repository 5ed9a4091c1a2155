-- Removes a member: id, timeout, bounds. A member that is not there may be in a join that Redis has not read yet: the
-- join is void for some time.
local data = redis.call('HGET', KEYS[3], ARGV[1])
if not data then
  redis.call('SET', KEYS[1] .. ':v:' .. ARGV[1], '', 'PX', text(tonumber(ARGV[2]) * 4))
  return 0
end
return remove(KEYS[1], KEYS[3], ARGV[1], data, bounds(3))
