-- Settlement of jobs, one function for each disposition.
--
-- Each function reads the data of its disposition, and then acts if `value` is the job's claim. It is nil if the claim
-- is gone or its settlement cannot be recorded. Each returns the text of an error if it changed nothing, and whether
-- the job runs again.
-- step: {now, fraction, prefix, keys of the step}; slot: position of the job's slot.
local results, succeeded = {}, {}

local function report(slot, result)
  results[#results + 1] = slot
  results[#results + 1] = result
end

local function payload_of(value)
  local _, head = string.find(value, ',"payload":', 1, true)
  return string.sub(value, head + 1, -2)
end

-- Read the payload to delay (the job's own without one), and the set for payloads of its meaning, if there is one.
local function read_spelling()
  local given = read_optional()
  return given, read_flag() and read_key() or nil
end

local function delay_until(step, payload, spellings, milliseconds)
  local at = math.ceil((step.now + step.fraction + milliseconds) / 1000)
  local problem = delay_to(at, payload, step.schedule, step.wake_schedule, step.prefix)
  if not problem and spellings then record_spelling(spellings, at, payload, step.prefix, step.now) end
  return problem
end

local function record_failure(step, entry, worker_counter)
  local problem = failed(redis.pcall('RPUSH', step.failures, entry))
  if problem then return problem end
  redis.pcall('INCR', step.failed_count)
  redis.pcall('INCR', worker_counter)
end

local settle = {
  -- Reads key counter of the worker's processed jobs.
  succeeded = function(_, _, value)
    local counter = read_key()
    if value then succeeded[#succeeded + 1] = counter end
  end,

  refused = function() end,

  -- Reads key counter of the worker's failures, text failed entry.
  failed = function(step, _, value)
    local counter, entry = read_key(), read_text()
    return value and record_failure(step, entry, counter)
  end,

  -- Reads keys list and wake list of the queue, optional payload, text queue.
  released = function(step, _, value)
    local list, wake, payload, queue = read_key(), read_key(), read_optional(), read_text()
    if not value then return end
    local problem = failed(redis.pcall('LPUSH', list, payload or payload_of(value)))
    if problem then return problem end
    notify_enqueued(step.queues, queue, wake, step.wake_new)
    return nil, true
  end,

  -- Reads optional payload, flag whether its meaning is known; if so key payloads delayed with it; number delay in ms.
  postponed = function(step, _, value)
    local given, spellings = read_spelling()
    local delay = read_number()
    if not value then return end
    return delay_until(step, given or payload_of(value), spellings, delay), true
  end,

  -- Reads payload and meaning as `postponed`; keys counter of the worker's failures, counter of attempts; text failed
  -- entry, number limit, texts delays in ms, flag whether the error is kept; if so key, text error.
  retried = function(step, slot, value)
    local given, spellings = read_spelling()
    local worker_counter, counter, entry, limit, delays =
      read_key(), read_key(), read_text(), read_number(), read_texts()
    local error_key, error_text
    if read_flag() then error_key, error_text = read_key(), read_text() end
    if not value then return end
    local before = tonumber(redis.pcall('GET', counter)) or -1
    local attempt = before + 2
    if attempt >= limit then
      local problem = record_failure(step, entry, worker_counter)
      if not problem then redis.call('DEL', counter, error_key or counter) end
      return problem
    end
    local delay = tonumber(delays[math.min(attempt, #delays)])
    local problem = delay_until(step, given or strip_rescue_mark(payload_of(value)), spellings, delay)
    if problem then return problem end
    -- It lives a day longer than the delay, so that no attempt outlives its count.
    local life = int(math.ceil(delay / 1000) + 86400)
    redis.call('SET', counter, int(before + 1), 'EX', life)
    if error_key then redis.call('SET', error_key, error_text, 'EX', life) end
    redis.pcall('INCR', step.failed_count)
    redis.pcall('INCR', worker_counter)
    report(slot, 'attempt ' .. int(attempt))
    return nil, true
  end
}

-- Count the jobs that succeeded, in total and for each worker.
local function count_succeeded(processed)
  if #succeeded == 0 then return end
  redis.pcall('INCRBY', processed, #succeeded)
  local counts, updates, last = redis.call('MGET', unpack(succeeded)), {}, 0
  for i = 1, #succeeded do
    local count = tonumber(counts[i] or '0')
    if count then
      -- A number below 1e15 is written as its digits.
      updates[last + 1], updates[last + 2] = succeeded[i], count < 1e15 and count + 1 or int(count + 1)
      last = last + 2
    end
  end
  if last > 0 then redis.pcall('MSET', unpack(updates)) end
end
