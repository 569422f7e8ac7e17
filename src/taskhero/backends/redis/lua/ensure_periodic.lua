-- Enqueue each periodic task that is neither stopped, running, queued nor delayed.
--
-- KEYS[1] processes, KEYS[2] why tasks are stopped, KEYS[3] queues, KEYS[4] wake list for new queues
-- KEYS[5] wake list of schedulers, KEYS[6] schedule (sorted set of due times)
-- KEYS[7+] for each task: its queue, the queue's wake list, its job locks, its queue locks, the sets of the due times
--          of its payloads
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace, ARGV[3] '1' to check whether locks are stale
-- ARGV[4+] for each task: name, queue, frequency in ms, number of job locks, of queue locks, of payloads; the timeouts
--          of the queue locks in seconds (negative: other jobs share the lock); the payloads, that of the next job
--          first
-- Returns an `EnsureResult` for each task.
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include job_locks
--!include delaying
--!include periodic
--!include removing
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local prefix, check_stale = ARGV[2], ARGV[3] == '1'
local seconds = math.floor(now / 1000)
local results = {}
local arg, key = 4, 7
local STALE_LOCK_AGE = 60

local function is_near_front(list, payload_count, first)
  local payloads = redis.pcall('LRANGE', list, 0, SCANNED_JOBS - 1)
  for _, payload in ipairs(failed(payloads) and {} or payloads) do
    if is_one_of(payload, payload_count, first) then return true end
  end
  return false
end

local function is_queued(list, payload_count, first)
  if is_near_front(list, payload_count, first) then return true end
  for i = 0, payload_count - 1 do
    if type(redis.pcall('LPOS', list, ARGV[first + i])) == 'number' then return true end
  end
  return false
end

-- Return for how many seconds a queue lock has been held, by its value, or nil if it is free. A shared lock does not
-- prove that this job is queued, so its age is 0.
local function lock_age(lock, timeout)
  if is_free(lock, now, prefix) then return nil end
  local value = redis.pcall('GET', lock)
  if failed(value) or timeout < 0 then return 0 end
  return seconds - (tonumber(string.match(value, '^%s*[+-]?%d+')) - 1 - timeout)
end

-- Return whether a queue lock is held that is not stale.
local function has_fresh_lock(list, queue_locks, timeouts, first_queue_lock, payload_count, first)
  local youngest
  for i = 0, queue_locks - 1 do
    local age = lock_age(KEYS[first_queue_lock + i], tonumber(ARGV[timeouts + i]))
    if age then youngest = math.min(youngest or age, age) end
  end
  if not youngest then return false end
  return not check_stale or youngest < STALE_LOCK_AGE or is_queued(list, payload_count, first)
end

-- Return the earliest second to which one of the payloads is delayed, or nil.
local function earliest_due_time(payload_count, first, first_index)
  if redis.call('EXISTS', unpack(KEYS, first_index, first_index + payload_count - 1)) == 0 then return nil end
  local found
  for i = 0, payload_count - 1 do
    local members = redis.pcall('SMEMBERS', KEYS[first_index + i])
    for _, member in ipairs(failed(members) and {} or members) do
      local at = tonumber(string.sub(member, 9))
      if at and (not found or at < found)
        and is_delayed_to(member, KEYS[first_index + i], ARGV[first + i], prefix) then
        found = at
      end
    end
  end
  return found
end

local function enqueue(list, wake, queue, queue_locks, timeouts, first_queue_lock, payload)
  local held = {}
  for i = 0, queue_locks - 1 do
    local timeout = math.abs(tonumber(ARGV[timeouts + i]))
    redis.call('SET', KEYS[first_queue_lock + i], int(seconds + timeout + 1), 'EX', int(timeout))
    held[#held + 1] = KEYS[first_queue_lock + i]
  end
  if failed(redis.pcall('RPUSH', list, payload)) then
    release_locks(held)
    return 'wrong_type'
  end
  notify_enqueued(KEYS[3], queue, wake, KEYS[4])
  return 'enqueued'
end

local function ensure_task(name, queue, frequency, job_locks, queue_locks, payload_count)
  local list, wake, first_job_lock = KEYS[key], KEYS[key + 1], key + 2
  local first_queue_lock = first_job_lock + job_locks
  local first_index = first_queue_lock + queue_locks
  local timeouts, first = arg + 6, arg + 6 + queue_locks
  if redis.pcall('HEXISTS', KEYS[2], name) == 1 then return 'stopped' end
  for i = 0, job_locks - 1 do
    if lock_owner(KEYS[first_job_lock + i], now, KEYS[1]) then return 'running' end
  end
  if has_fresh_lock(list, queue_locks, timeouts, first_queue_lock, payload_count, first) then return 'queued' end
  local at, latest = earliest_due_time(payload_count, first, first_index), next_due_time(now, frequency)
  if at then
    if at > latest then
      if not_delayable(latest, KEYS[6], prefix) then return 'wrong_type' end
      remove_delayed(payload_count, first, first_index, KEYS[6], prefix)
      delay_to(latest, ARGV[first], KEYS[6], KEYS[5], prefix)
    end
    return 'delayed'
  end
  -- A job that was released or rescued has no lock.
  if is_near_front(list, payload_count, first) then return 'queued' end
  -- Jobs of a dead process are rescued soon. The lease end of a process that was declared dead is negative.
  local recent, expired = int(now - 60000), int(now)
  local dead = redis.call('ZCOUNT', KEYS[1], '(' .. recent, expired)
  dead = dead + redis.call('ZCOUNT', KEYS[1], '-' .. expired, '(-' .. recent)
  if dead > 0 then return 'unsure' end
  return enqueue(list, wake, queue, queue_locks, timeouts, first_queue_lock, ARGV[first])
end

while arg <= #ARGV do
  local name, queue, frequency = ARGV[arg], ARGV[arg + 1], tonumber(ARGV[arg + 2])
  local job_locks, queue_locks = tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4])
  local payload_count = tonumber(ARGV[arg + 5])
  results[#results + 1] = ensure_task(name, queue, frequency, job_locks, queue_locks, payload_count)
  arg, key = arg + 6 + queue_locks + payload_count, key + 2 + job_locks + queue_locks + payload_count
end
return results
