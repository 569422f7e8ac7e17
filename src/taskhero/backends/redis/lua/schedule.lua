-- Store jobs until their due times. A job that is due now enters its queue at once.
--
-- Reads keys queues, wake list for new queues, wake list of schedulers, schedule; now, prefix, number of jobs; for each
-- keys set of its due times, its queue, the queue's wake list, optional due time in seconds, optional delay in ms (one
-- of the two), text queue, flag unique, text payload, guards.
-- Returns for each job 'delayed', 'queued', 'already_delayed', 'duplicate' or 'error <message>'.
-- The lists of due times are derived from the prefix, since only the server's clock determines them.
--!include arguments
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include delaying
local queues, wake_new, wake_schedule, schedule = read_key(), read_key(), read_key(), read_key()
local now, fraction = read_now()
local prefix, seconds, results = read_text(), math.floor(now / 1000), {}

-- Return the second in which a job is due, rounded up, or nil if that is not in the future.
local function due_second(due_time, delay)
  local exact = now + fraction
  if due_time then
    local at = tonumber(due_time)
    return at * 1000 > exact and at > seconds and math.ceil(at) or nil
  end
  return tonumber(delay) > 0 and math.ceil((exact + tonumber(delay)) / 1000) or nil
end

local function is_delayed(index, at, payload)
  local name = 'delayed:' .. int(at)
  return redis.pcall('SISMEMBER', index, name) == 1 and type(redis.pcall('LPOS', prefix .. name, payload)) == 'number'
end

local function enqueue(queue, list, wake, payload)
  local problem = failed(redis.pcall('RPUSH', list, payload))
  if not problem then notify_enqueued(queues, queue, wake, wake_new) end
  return problem
end

-- Store one job, and return its result. `at` is nil for a job that is due now.
local function store(at, queue, list, wake, payload, guards)
  local held = acquire_guards(guards, now, prefix, at and 'delayed' or nil)
  if not held then return 'duplicate' end
  local problem
  if at then
    problem = delay_to(at, payload, schedule, wake_schedule, prefix)
  else
    problem = enqueue(queue, list, wake, payload)
  end
  if problem then release_locks(held) end
  return problem and 'error ' .. problem or (at and 'delayed' or 'queued')
end

for i = 1, read_number() do
  local index, list, wake = read_key(), read_key(), read_key()
  local at = due_second(read_optional(), read_optional())
  local queue, unique, payload, guards = read_text(), read_flag(), read_text(), read_guards()
  if at and unique and is_delayed(index, at, payload) then
    results[i] = 'already_delayed'
  else
    results[i] = store(at, queue, list, wake, payload, guards)
  end
end
expect_end()
return results
