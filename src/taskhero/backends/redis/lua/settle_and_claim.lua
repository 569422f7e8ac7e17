-- Settle ended jobs and claim the next ones for the free slots of a process.
--
-- Each job is written to its destination before its claim ends, and to its worker key before its payload is removed
-- from the queue.
--
-- KEYS[1] processes (sorted set: name, end of lease in ms), KEYS[2] pause switch, KEYS[3] counter of processed jobs
-- KEYS[4] counter of failed jobs, KEYS[5] failed list, KEYS[6] queues, KEYS[7] schedule (sorted set of due times)
-- KEYS[8] wake list of schedulers, KEYS[9] wake list for new queues
-- KEYS[10+] for each slot: its worker key; for each queue: its list and its wake list; then the keys of each
--           settlement, in the order of use
-- ARGV[1] now in ms or '', ARGV[2] process, ARGV[3] prefix of the namespace, ARGV[4] number of slots
-- ARGV[5] number of queues, ARGV[6] maximum size of a batch in bytes, ARGV[7] token of this batch, ARGV[8] value for
-- run_at
-- ARGV[9+] for each slot: its number, and a string of '1' (free) or '0', the letter of the disposition or '-', and the
--          claim's token; for each queue: its name in JSON; then the data of the settlements, in the order of the
--          slots. A lower-case letter means that these precede the data: number of locks to release, of counters to
--          delete, of equivalent payloads of the periodic task's job (0 without one) (keys: the locks and counters); if
--          there are payloads: the task's name, its frequency in ms, '1' if a failure stops it, the payloads, that of
--          the next job first (keys: why tasks are stopped, sets of the payloads' due times)
--          'S' succeeded: nothing (keys: counter of the worker's processed jobs)
--          'F' failed: failed entry (keys: counter of the worker's failures)
--          'X' refused by a plugin: nothing
--          'P' postponed by a plugin: payload to delay or '', number of meanings (0 or 1), delay in ms (keys: payloads
--              delayed with that meaning)
--          'R' retried: payload and meanings as for 'P'; failed entry, limit, number of delays, delays in ms, number of
--              last errors (0 or 1), the last error (keys: as for 'P', counter of the worker's failures, counter of attempts,
--              last error)
--          'B' released, back to the queue: payload or '', queue (keys: list, wake list)
-- Returns flags {registered, paused, jobs left}; results of settlements {slot index, result, ...}, only those to
-- report; problems {queue index, error, ...}; claims {slot index, queue index, number, payload, ...}.
-- The keys of due times are derived from the prefix, since only the server's clock determines them.
-- Locals are faster than globals, and each job reads these.
local KEYS, ARGV = KEYS, ARGV
--!include common
--!include delaying
--!include spellings
--!include periodic
--!include removing
--!include claiming
allow_oom(KEYS[1])
local now, fraction = now_ms(ARGV[1])
local process, prefix = ARGV[2], ARGV[3]
local slots, queues, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local slot_arg, queue_arg = 9, 9 + 2 * slots
local slot_key, queue_key = 10, 10 + slots
local arg, key = queue_arg + queues, queue_key + 2 * queues
local results = {}
local settled, succeeded = {}, {}

local worker_keys = { unpack(KEYS, slot_key, slot_key + slots - 1) }
-- What each worker key holds now. A slot can occur twice: with a settlement that is sent again, and with a new one.
local held, values = {}, redis.call('MGET', KEYS[2], unpack(worker_keys))
local pause = values[1]
for i = 1, slots do held[worker_keys[i]] = values[i + 1] end

-- settling ---------------------------------------------------------------------------------------------------------

local function payload_of(value)
  local _, head = string.find(value, ',"payload":', 1, true)
  return string.sub(value, head + 1, -2)
end

-- Read the payload to delay, or '', and the set for payloads of its meaning, if there is one.
local function read_spelling()
  local given, spellings = ARGV[arg], nil
  if ARGV[arg + 1] == '1' then spellings, key = KEYS[key], key + 1 end
  arg = arg + 2
  return given, spellings
end

-- Delay the given payload, or the job's own.
local function delay_until(given, original, spellings, milliseconds)
  local at, payload = math.ceil((now + fraction + milliseconds) / 1000), given ~= '' and given or original
  local problem = delay_to(at, payload, KEYS[7], KEYS[8], prefix)
  if not problem and spellings then record_spelling(spellings, at, payload, prefix, now) end
  return problem
end

local function record_failure(entry, worker_counter)
  local problem = failed(redis.pcall('RPUSH', KEYS[5], entry))
  if problem then return problem end
  redis.pcall('INCR', KEYS[4])
  redis.pcall('INCR', worker_counter)
end

local function retry(i, value)
  local given, spellings = read_spelling()
  local entry, limit, count = ARGV[arg], tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local worker_counter, counter = KEYS[key], KEYS[key + 1]
  local first_delay = arg + 3
  arg, key = first_delay + count + 1, key + 2
  local last_error, error_text
  if ARGV[arg - 1] == '1' then
    last_error, error_text = KEYS[key], ARGV[arg]
    arg, key = arg + 1, key + 1
  end
  if not value then return end
  local before = tonumber(redis.pcall('GET', counter)) or -1
  local attempt = before + 2
  if attempt >= limit then
    local problem = record_failure(entry, worker_counter)
    if not problem then redis.call('DEL', counter, last_error or counter) end
    return problem
  end
  local delay = tonumber(ARGV[first_delay + math.min(attempt, count) - 1])
  local problem = delay_until(given, strip_rescue_mark(payload_of(value)), spellings, delay)
  if problem then return problem end
  -- It lives a day longer than the delay, so that no attempt outlives its count.
  local life = math.ceil(delay / 1000) + 86400
  redis.call('SET', counter, int(before + 1), 'EX', int(life))
  if last_error then redis.call('SET', last_error, error_text, 'EX', int(life)) end
  redis.pcall('INCR', KEYS[4])
  redis.pcall('INCR', worker_counter)
  results[#results + 1] = i
  results[#results + 1] = 'attempt ' .. int(attempt)
  return nil, true
end

local function release_job(value)
  local payload, name, list, wake = ARGV[arg], ARGV[arg + 1], KEYS[key], KEYS[key + 1]
  arg, key = arg + 2, key + 2
  if not value then return end
  local problem = failed(redis.pcall('LPUSH', list, payload ~= '' and payload or payload_of(value)))
  if problem then return problem end
  notify_enqueued(KEYS[6], name, wake, KEYS[9])
end

-- Return the text of an error if the settlement cannot be recorded, and whether the job runs again.
local function settle(i, disposition, value)
  if disposition == 'S' then
    key = key + 1
    if value then succeeded[#succeeded + 1] = KEYS[key - 1] end
  elseif disposition == 'F' then
    local entry, counter = ARGV[arg], KEYS[key]
    arg, key = arg + 1, key + 1
    return value and record_failure(entry, counter)
  elseif disposition == 'B' then
    return release_job(value), true
  elseif disposition == 'P' then
    local given, spellings = read_spelling()
    arg = arg + 1
    return value and delay_until(given, payload_of(value), spellings, tonumber(ARGV[arg - 1])), true
  elseif disposition == 'R' then
    return retry(i, value)
  end
end

-- Delete the locks that the claim still owns, and the counters.
local function release_resources(owner, first, locks, counters)
  local deleted = { unpack(KEYS, first + locks, first + locks + counters - 1) }
  for i, value in ipairs(locks > 0 and redis.call('MGET', unpack(KEYS, first, first + locks - 1)) or {}) do
    if value and string.match(value, '^%d+:(.*)$') == owner then deleted[#deleted + 1] = KEYS[first + i - 1] end
  end
  if #deleted > 0 then redis.call('DEL', unpack(deleted)) end
end

-- Return why the next run of a periodic task cannot be delayed, or nil. This precedes the settlement, so that the claim
-- stays if the next run cannot be stored.
local function next_run_problem(disposition, first_arg, first_key)
  if disposition == 'B' or disposition == 'P' then return nil end
  if redis.pcall('HEXISTS', KEYS[first_key], ARGV[first_arg]) == 1 then return nil end
  return not_delayable(next_due_time(now, tonumber(ARGV[first_arg + 1])), KEYS[7], prefix)
end

-- Delay the next run of a periodic task, or stop the task.
local function delay_next_run(i, first_arg, first_key, payload_count, has_failed)
  local name, stopped = ARGV[first_arg], KEYS[first_key]
  if redis.pcall('HEXISTS', stopped, name) == 1 then return end
  if has_failed and ARGV[first_arg + 2] == '1' then
    if not failed(redis.pcall('HSET', stopped, name, 'failed')) then touch_ttl(stopped) end
    return
  end
  local at = next_due_time(now, tonumber(ARGV[first_arg + 1]))
  remove_delayed(payload_count, first_arg + 3, first_key + 1, KEYS[7], prefix)
  delay_to(at, ARGV[first_arg + 3], KEYS[7], KEYS[8], prefix)
  results[#results + 1] = i
  results[#results + 1] = 'next ' .. int(at)
end

for i = 1, slots do
  local row = ARGV[slot_arg + 2 * (i - 1) + 1]
  local disposition = string.sub(row, 2, 2)
  if disposition ~= '-' then
    local first, locks, counters, payload_count, next_arg, next_key
    if string.byte(disposition) > 90 then
      disposition, first, locks, counters = string.upper(disposition), key, tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
      payload_count = tonumber(ARGV[arg + 2])
      arg, key = arg + 3, key + locks + counters
      if payload_count > 0 then
        next_arg, next_key = arg, key
        arg, key = arg + 3 + payload_count, key + 1 + payload_count
      end
    end
    local value, token = held[worker_keys[i]] or nil, string.sub(row, 3)
    if not is_claim(value, token) then value = nil end
    local next_problem = value and next_arg and next_run_problem(disposition, next_arg, next_key)
    local problem, runs_again = settle(i, disposition, not next_problem and value or nil)
    if not value or next_problem or problem then
      results[#results + 1] = i
      results[#results + 1] = value and 'error ' .. (next_problem or problem) or 'gone'
      if first and not value then
        release_resources(process .. '+' .. ARGV[slot_arg + 2 * (i - 1)] .. '/' .. token, first, locks, 0)
      end
    else
      settled[#settled + 1] = worker_keys[i]
      held[worker_keys[i]] = false
      if next_arg and not runs_again then
        delay_next_run(i, next_arg, next_key, payload_count, disposition == 'F' or disposition == 'R')
      end
      if first then
        release_resources(process .. '+' .. ARGV[slot_arg + 2 * (i - 1)] .. '/' .. token, first, locks, counters)
      end
    end
  end
end
if #settled > 0 then redis.call('DEL', unpack(settled)) end
if #succeeded > 0 then
  redis.pcall('INCRBY', KEYS[3], #succeeded)
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

-- claiming ---------------------------------------------------------------------------------------------------------

local registered, paused = may_claim(process, pause)
local free, names = {}, {}
for i = 1, slots do
  names[i] = ARGV[slot_arg + 2 * (i - 1)]
  local is_free = string.byte(ARGV[slot_arg + 2 * (i - 1) + 1]) == 49
  if is_free and registered == 1 and paused == 0 and not is_claim(held[worker_keys[i]]) then free[#free + 1] = i end
end
local jobs_left, problems, claims =
  claim_jobs(free, names, queues, slot_key, queue_arg, process, ARGV[7], ARGV[8], max_bytes)
return { { registered, paused, jobs_left }, results, problems, claims }
