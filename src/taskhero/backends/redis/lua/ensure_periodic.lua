-- Enqueue each periodic task that is neither stopped, running, queued nor delayed.
--
-- Reads keys processes, why tasks are stopped, queues, wake list for new queues, wake list of schedulers, schedule;
-- now, prefix, flag whether to check that locks are not stale, number of tasks; for each keys its queue, the queue's
-- wake list, texts name, queue, number frequency in ms, several keys its job locks, number of queue locks; for each
-- key, number timeout in seconds, flag whether other jobs share it; then texts its payloads (that of the next job
-- first), several keys the sets of their due times.
-- Returns an `EnsureResult` for each task.
--!include arguments
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include job_locks
--!include delaying
--!include periodic
--!include removing
local processes, stops, queues, wake_new = read_key(), read_key(), read_key(), read_key()
local wake_schedule, schedule = read_key(), read_key()
local now, prefix, check_stale = read_now(), read_text(), read_flag()
allow_oom(processes)
local seconds = math.floor(now / 1000)
local results = {}
local STALE_LOCK_AGE = 60

local function read_task()
  local task = { list = read_key(), wake = read_key(), name = read_text(), queue = read_text() }
  task.frequency, task.job_locks, task.queue_locks = read_number(), read_keys(), {}
  for i = 1, read_number() do
    task.queue_locks[i] = { key = read_key(), timeout = read_number(), shared = read_flag() }
  end
  task.payloads, task.indexes = read_texts(), read_keys()
  return task
end

local function is_near_front(task)
  local payloads = redis.pcall('LRANGE', task.list, 0, SCANNED_JOBS - 1)
  for _, payload in ipairs(failed(payloads) and {} or payloads) do
    if is_one_of(payload, task.payloads) then return true end
  end
  return false
end

local function is_queued(task)
  if is_near_front(task) then return true end
  for _, payload in ipairs(task.payloads) do
    if type(redis.pcall('LPOS', task.list, payload)) == 'number' then return true end
  end
  return false
end

-- Return for how many seconds a queue lock has been held, by its value, or nil if it is free. A shared lock does not
-- prove that this job is queued, so its age is 0.
local function lock_age(lock)
  if is_free(lock.key, now, prefix) then return nil end
  local value = redis.pcall('GET', lock.key)
  if failed(value) or lock.shared then return 0 end
  return seconds - (tonumber(string.match(value, '^%s*[+-]?%d+')) - 1 - lock.timeout)
end

-- Return whether a queue lock is held that is not stale.
local function has_fresh_lock(task)
  local youngest
  for _, lock in ipairs(task.queue_locks) do
    local age = lock_age(lock)
    if age then youngest = math.min(youngest or age, age) end
  end
  if not youngest then return false end
  return not check_stale or youngest < STALE_LOCK_AGE or is_queued(task)
end

-- Return the earliest second to which one of the payloads is delayed, or nil.
local function earliest_due_time(task)
  if redis.call('EXISTS', unpack(task.indexes)) == 0 then return nil end
  local found
  for i, index in ipairs(task.indexes) do
    local members = redis.pcall('SMEMBERS', index)
    for _, member in ipairs(failed(members) and {} or members) do
      local at = tonumber(string.sub(member, 9))
      if at and (not found or at < found) and is_delayed_to(member, index, task.payloads[i], prefix) then found = at end
    end
  end
  return found
end

local function enqueue(task)
  local held = {}
  for i, lock in ipairs(task.queue_locks) do
    redis.call('SET', lock.key, int(seconds + lock.timeout + 1), 'EX', int(lock.timeout))
    held[i] = lock.key
  end
  if failed(redis.pcall('RPUSH', task.list, task.payloads[1])) then
    release_locks(held)
    return 'wrong_type'
  end
  notify_enqueued(queues, task.queue, task.wake, wake_new)
  return 'enqueued'
end

local function ensure_task(task)
  if redis.pcall('HEXISTS', stops, task.name) == 1 then return 'stopped' end
  for _, lock in ipairs(task.job_locks) do
    if lock_owner(lock, now, processes) then return 'running' end
  end
  if has_fresh_lock(task) then return 'queued' end
  local at, latest = earliest_due_time(task), next_due_time(now, task.frequency)
  if at then
    if at > latest then
      if not_delayable(latest, schedule, prefix) then return 'wrong_type' end
      remove_delayed(task.payloads, task.indexes, schedule, prefix)
      delay_to(latest, task.payloads[1], schedule, wake_schedule, prefix)
    end
    return 'delayed'
  end
  -- A job that was released or rescued has no lock.
  if is_near_front(task) then return 'queued' end
  -- Jobs of a dead process are rescued soon. The lease end of a process that was declared dead is negative.
  local recent, expired = int(now - 60000), int(now)
  local dead = redis.call('ZCOUNT', processes, '(' .. recent, expired)
  dead = dead + redis.call('ZCOUNT', processes, '-' .. expired, '(-' .. recent)
  if dead > 0 then return 'unsure' end
  return enqueue(task)
end

for i = 1, read_number() do results[i] = ensure_task(read_task()) end
expect_end()
return results
