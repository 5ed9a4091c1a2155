-- Publishes a message, to a member only if the member is there: kind, body, member, bounds.
if ARGV[3] ~= '' and redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0 then
  return 0
end
return append(KEYS[1], ARGV[1], ARGV[2], bounds(4))
