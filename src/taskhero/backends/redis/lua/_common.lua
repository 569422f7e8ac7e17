-- Whole milliseconds since 1970: those given, or the server's own. The second result is the part of a millisecond that the
-- first one leaves out.
local function now_ms(given)
  if given ~= '' then return tonumber(given), 0 end
  local time = redis.call('TIME')
  local micros = tonumber(time[2])
  return tonumber(time[1]) * 1000 + math.floor(micros / 1000), micros % 1000 / 1000
end

-- The text of an error reply, or nil. A server that is not the master refuses each write: that ends the script, before
-- it has done anything, so that the driver looks for the master.
local function failed(reply)
  local text = type(reply) == 'table' and reply.err and tostring(reply.err) or nil
  if text and string.find(text, 'READONLY ', 1, true) then error(text) end
  return text
end

-- Why nothing can be appended to a list, or nil.
local function not_a_list(key)
  return failed(redis.pcall('LLEN', key))
end

-- Leaves one wake-up in a list unless there is one; it lapses by itself.
local function signal(wake)
  if redis.call('EXISTS', wake) == 0 then
    redis.call('RPUSH', wake, '1')
    redis.call('EXPIRE', wake, 60)
  end
end

-- Makes a queue known and tells one who is_waiting that it has jobs.
local function notify_enqueued(queues, name, wake, wake_new)
  if redis.pcall('SADD', queues, name) == 1 then signal(wake_new) end
  signal(wake)
end

-- A int number as text, whatever its size.
local function int(number)
  return string.format('%.0f', number)
end

-- Lets the script write on a full server too (maxmemory, noeviction). There the first write of a script is refused unless
-- it deletes, and those behind it are not, so that no script ends half-way: so this deletes nothing from a sorted set.
-- What moves a job, ends a claim or keeps a process alive has to go on; it is how a full server empties.
local function allow_oom(key)
  failed(redis.pcall('ZREMRANGEBYSCORE', key, 1, 0))
end
