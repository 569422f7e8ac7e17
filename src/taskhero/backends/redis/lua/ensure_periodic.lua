-- Sees to it that periodic tasks run again: what is neither stopped, running, queued nor delayed is queued.
--
-- KEYS[1] processes, KEYS[2] why tasks are stopped, KEYS[3] queues, KEYS[4] wake list for new queues
-- KEYS[5] wake list of schedulers, KEYS[6] sorted set of moments
-- KEYS[7+] for each task: its queue, the queue's wake list, locks of its running job, locks of its queued job, sets of
--          the moments of its texts
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace, ARGV[3] '1' to look whether locks are stale
-- ARGV[4+] for each task: name, queue, frequency in ms, number of locks of the running job, of locks of the queued job,
--          of texts; the timeouts of the locks of the queued job (negative: others may hold it, too); the texts, that of the next job first
-- Returns for each task what was found or done (`Kept`).
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include locks
--!include delaying
--!include periodic
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local prefix, thoroughly = ARGV[2], ARGV[3] == '1'
local seconds = math.floor(now / 1000)
local results = {}
local arg, key = 4, 7
local STALE_LOCK_AGE = 60

local function is_near_front(list, forms, first)
  local texts = redis.pcall('LRANGE', list, 0, SCANNED_JOBS - 1)
  for _, text in ipairs(failed(texts) and {} or texts) do
    if same(text, forms, first) then return true end
  end
  return false
end

local function is_queued(list, forms, first)
  if is_near_front(list, forms, first) then return true end
  for i = 0, forms - 1 do
    if type(redis.pcall('LPOS', list, ARGV[first + i])) == 'number' then return true end
  end
  return false
end

-- For how many seconds a lock of a queued job is held, by its number; nil if it is free. One that others may hold, too,
-- says nothing of this job.
local function held_for(lock, timeout)
  if is_free(lock, now, prefix) then return nil end
  local value = redis.pcall('GET', lock)
  if failed(value) or timeout < 0 then return 0 end
  return seconds - (tonumber(string.match(value, '^%s*[+-]?%d+')) - 1 - timeout)
end

-- Whether a lock of the queued job is held that is to be believed.
local function is_locked(list, locks, timeouts, first_lock, forms, first)
  local youngest
  for i = 0, locks - 1 do
    local age = held_for(KEYS[first_lock + i], tonumber(ARGV[timeouts + i]))
    if age then youngest = math.min(youngest or age, age) end
  end
  if not youngest then return false end
  return not thoroughly or youngest < STALE_LOCK_AGE or is_queued(list, forms, first)
end

-- The earliest second to which a text is really delayed, or nil.
local function earliest(forms, first, first_index)
  if redis.call('EXISTS', unpack(KEYS, first_index, first_index + forms - 1)) == 0 then return nil end
  local found
  for i = 0, forms - 1 do
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

local function enqueue(list, wake, queue, locks, timeouts, first_lock, raw)
  local held = {}
  for i = 0, locks - 1 do
    local timeout = math.abs(tonumber(ARGV[timeouts + i]))
    redis.call('SET', KEYS[first_lock + i], int(seconds + timeout + 1), 'EX', int(timeout))
    held[#held + 1] = KEYS[first_lock + i]
  end
  if failed(redis.pcall('RPUSH', list, raw)) then
    release(held)
    return 'wrong_type'
  end
  notify_enqueued(KEYS[3], queue, wake, KEYS[4])
  return 'enqueued'
end

local function ensure_task(name, queue, frequency, holds, locks, forms)
  local list, wake, first_hold = KEYS[key], KEYS[key + 1], key + 2
  local first_lock = first_hold + holds
  local first_index = first_lock + locks
  local timeouts, first = arg + 6, arg + 6 + locks
  if redis.pcall('HEXISTS', KEYS[2], name) == 1 then return 'stopped' end
  for i = 0, holds - 1 do
    if lock_owner(KEYS[first_hold + i], now, KEYS[1]) then return 'running' end
  end
  if is_locked(list, locks, timeouts, first_lock, forms, first) then return 'queued' end
  local at, latest = earliest(forms, first, first_index), next_due_time(now, frequency)
  if at then
    if at > latest then
      if not_delayable(latest, KEYS[6], prefix) then return 'wrong_type' end
      remove_delayed(forms, first, first_index, KEYS[6], prefix)
      delay_to(latest, ARGV[first], KEYS[6], KEYS[5], prefix)
    end
    return 'delayed'
  end
  -- A copy that was given back, or rescued, has no lock.
  if is_near_front(list, forms, first) then return 'queued' end
  -- What a dead process holds is rescued in a moment. The time of one that was declared dead is negative.
  local recent, over = int(now - 60000), int(now)
  if redis.call('ZCOUNT', KEYS[1], '(' .. recent, over) + redis.call('ZCOUNT', KEYS[1], '-' .. over, '(-' .. recent) > 0 then
    return 'unsure'
  end
  return enqueue(list, wake, queue, locks, timeouts, first_lock, ARGV[first])
end

while arg <= #ARGV do
  local holds, locks, forms = tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4]), tonumber(ARGV[arg + 5])
  results[#results + 1] = ensure_task(ARGV[arg], ARGV[arg + 1], tonumber(ARGV[arg + 2]), holds, locks, forms)
  arg, key = arg + 6 + locks + forms, key + 2 + holds + locks + forms
end
return results
