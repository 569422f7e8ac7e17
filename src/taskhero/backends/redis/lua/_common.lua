-- Read the time: whole milliseconds since 1970, as given or by the server's clock. The second result is the fraction of
-- a millisecond that the first one omits.
local function read_now()
  local given = read_text()
  if given ~= '' then return tonumber(given), 0 end
  local time = redis.call('TIME')
  local micros = tonumber(time[2])
  return tonumber(time[1]) * 1000 + math.floor(micros / 1000), micros % 1000 / 1000
end

-- Return the text of an error reply, or nil. A server that is not the master refuses each write. That ends the script
-- before it has changed anything, so that the driver looks for the master.
local function failed(reply)
  local message = type(reply) == 'table' and reply.err and tostring(reply.err) or nil
  if message and string.find(message, 'READONLY ', 1, true) then error(message) end
  return message
end

-- Return why nothing can be appended to a list, or nil.
local function not_a_list(key)
  return failed(redis.pcall('LLEN', key))
end

-- Push one wake-up onto a wake list unless it has one. It expires after 60 seconds.
local function signal(wake)
  if redis.call('EXISTS', wake) == 0 then
    redis.call('RPUSH', wake, '1')
    redis.call('EXPIRE', wake, 60)
  end
end

-- Register a queue and wake one process that waits for its jobs.
local function notify_enqueued(queues, name, wake, wake_new)
  if redis.pcall('SADD', queues, name) == 1 then signal(wake_new) end
  signal(wake)
end

-- Return an integer as text, whatever its size.
local function int(number)
  return string.format('%.0f', number)
end

-- Let the script write on a full server (maxmemory, noeviction). There Redis refuses the first write of a script unless
-- it deletes, and accepts all later writes. So this deletes nothing from a sorted set. Scripts that move a job, end a
-- claim or keep a process alive must not fail, since they free memory.
local function allow_oom(key)
  failed(redis.pcall('ZREMRANGEBYSCORE', key, 1, 0))
end
