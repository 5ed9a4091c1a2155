-- What all scripts share. A group is a stream, a sorted set of processes and a hash of members, in one slot.

-- Writes a number in full: Lua would write a large one with an exponent.
local function text(number)
  return string.format('%.0f', number)
end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Returns the number of the last event of a stream, the sum of the bytes of all its events so far, and the run of the
-- Redis that has appended it; zeros if there is no stream.
local function last(stream)
  if redis.call('EXISTS', stream) == 0 then
    return 0, 0
  end
  local fields = redis.call('XINFO', 'STREAM', stream)
  local info = {}
  for index = 1, #fields, 2 do
    info[fields[index]] = fields[index + 1]
  end
  local number = tonumber(string.match(info['last-generated-id'], '^%d+'))
  local event = info['last-entry']
  if not event then
    return number, 0
  end
  return number, tonumber(event[2][6]), event[2][10]
end

-- The last arguments: floor, events, bytes, milliseconds, run of the Redis, command that publishes.
local function bounds(first)
  return {
    floor = tonumber(ARGV[first]),
    events = ARGV[first + 1],
    octets = tonumber(ARGV[first + 2]),
    milliseconds = ARGV[first + 3],
    run = ARGV[first + 4],
    publish = ARGV[first + 5],
  }
end

-- Writes an event after the last one, removes the oldest ones beyond the bounds, and tells all subscribers. Returns
-- the number and the sum of the bytes.
local function write(stream, kind, body, limits, previous, total)
  local number = math.max(previous + 1, limits.floor + 1, now())
  total = total + #body
  redis.call('XADD', stream, 'MAXLEN', limits.events, text(number) .. '-0',
    'p', text(previous), 'k', kind, 'o', text(total), 'b', body, 'r', limits.run)
  while true do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    local fields = oldest[2]
    local kept = total - tonumber(fields[6]) + #fields[8]
    if kept <= limits.octets or oldest[1] == text(number) .. '-0' then
      break
    end
    redis.call('XDEL', stream, oldest[1])
  end
  redis.call('PEXPIRE', stream, limits.milliseconds)
  redis.call(limits.publish, stream, text(number) .. ' ' .. text(previous) .. ' ' .. kind .. '\n' .. body)
  return number, total
end

-- Returns the number of the last event and the sum of the bytes. Another Redis, or an earlier run of it, may have had
-- events that this one has never had: a stream that it has begun goes on with a marker.
local function head(stream, limits)
  local number, total, run = last(stream)
  if number > 0 and run ~= limits.run then
    return write(stream, 's', '', limits, number, total)
  end
  return number, total
end

-- Appends an event. Returns the number.
local function append(stream, kind, body, limits)
  local previous, total = head(stream, limits)
  local number = write(stream, kind, body, limits, previous, total)
  return number
end

-- Removes a member with its inbox.
local function remove(stream, members, id, data, limits)
  redis.call('HDEL', members, id)
  redis.call('DEL', stream .. ':m:' .. id)
  return append(stream, 'l', id .. '\n' .. data, limits)
end

-- Removes the members of processes that have not been heard of in time.
local function sweep(stream, processes, members, limits)
  local dead = redis.call('ZRANGEBYSCORE', processes, '-inf', text(now() / 1000))
  if #dead == 0 then
    return
  end
  local listed = redis.call('HGETALL', members)
  for _, process in ipairs(dead) do
    local prefix = process .. '-'
    for index = 1, #listed, 2 do
      local id = listed[index]
      if string.sub(id, 1, #prefix) == prefix then
        remove(stream, members, id, listed[index + 1], limits)
      end
    end
    redis.call('ZREM', processes, process)
  end
end

-- Notes that a process is alive, for as many milliseconds.
local function renew(processes, members, process, timeout)
  redis.call('ZADD', processes, text(now() / 1000 + timeout), process)
  redis.call('PEXPIRE', processes, text(timeout * 4))
  redis.call('PEXPIRE', members, text(timeout * 4))
end
