-- Records how jobs ended and claims the next ones for the free slots of a process.
--
-- Each job is written where it goes before its claim ends, and under its worker before it leaves its queue.
--
-- KEYS[1] processes (sorted set: name, end of lease in ms), KEYS[2] pause switch, KEYS[3] counter of processed jobs
-- KEYS[4] counter of failed jobs, KEYS[5] failures, KEYS[6] queues, KEYS[7] sorted set of moments
-- KEYS[8] wake list of schedulers, KEYS[9] wake list for new queues
-- KEYS[10+] for each slot: its worker key; for each queue: its list and its wake list; then what each ending names, in
--           the order of use
-- ARGV[1] now in ms or '', ARGV[2] process, ARGV[3] prefix of the namespace, ARGV[4] number of slots,
-- ARGV[5] number of queues, ARGV[6] bytes that a batch may have, ARGV[7] token of this batch, ARGV[8] time for run_at
-- ARGV[9+] for each slot: its number, and a text of '1' (free) or '0', the ending's letter or '-', and the claim's token;
--          for each queue: its name in JSON; then the endings' data, in the order of the slots; before them,
--          where the letter is a small one: number of locks to release, of counters to forget, and of texts that mean
--          the periodic task's job (0 if it is none) (keys: these locks and counters); if there are texts: the task's
--          name, its frequency in ms, '1' if a failure stops it, the texts, that of the next job first (keys: why tasks
--          are stopped, sets of the texts' moments)
--          'F' failed: entry (keys: counter of the worker's failures)
--          'B' given back: raw or '', queue (keys: list, wake list)
--          'L' delayed: text to delay or '', number of meanings (0 or 1), delay in ms (keys: texts of that meaning)
--          'R' retried: text and meanings as for 'L'; entry, limit, number of delays, delays in ms, number of traces (0 or 1), their texts
--              (keys: counter of the worker's failures, counter of attempts, trace)
--          'D' done: nothing (keys: counter of the worker's processed jobs)
--          'X' dropped: nothing
-- Returns flags {registered, paused, waiting}, what became of endings {slot index, text, ...} (only what is not plain),
-- problems {queue index, text, ...}, claims {slot index, queue index, number, raw, ...}.
-- Lists of moments and their sets are derived from the prefix: only the server's clock says which they are.
-- Local names are quicker, and each is used for every job.
local KEYS, ARGV = KEYS, ARGV
--!include common
--!include delaying
--!include spellings
--!include periodic
--!include claiming
allow_oom(KEYS[1])
local now, rest = now_ms(ARGV[1])
local process, prefix = ARGV[2], ARGV[3]
local slots, queues, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local slot_arg, queue_arg = 9, 9 + 2 * slots
local slot_key, queue_key = 10, 10 + slots
local arg, key = queue_arg + queues, queue_key + 2 * queues
local ends = {}
local ended, done = {}, {}

local worker_keys = { unpack(KEYS, slot_key, slot_key + slots - 1) }
-- What each worker holds now; a slot may be named more than once, by an ending that is told again and by a new one.
local held, values = {}, redis.call('MGET', KEYS[2], unpack(worker_keys))
local pause = values[1]
for i = 1, slots do held[worker_keys[i]] = values[i + 1] end

-- settling ---------------------------------------------------------------------------------------------------------

local function payload(value)
  local _, head = string.find(value, ',"payload":', 1, true)
  return string.sub(value, head + 1, -2)
end

-- Reads the text to delay, or '', and the set of the texts of its meaning, if it is to be heartbeat_since there.
local function spelling()
  local given, spelled = ARGV[arg], nil
  if ARGV[arg + 1] == '1' then spelled, key = KEYS[key], key + 1 end
  arg = arg + 2
  return given, spelled
end

-- Delays the text that was given, or else the job's own.
local function delay_until(given, own, spelled, milliseconds)
  local at, raw = math.ceil((now + rest + milliseconds) / 1000), given ~= '' and given or own
  local problem = delay_to(at, raw, KEYS[7], KEYS[8], prefix)
  if not problem and spelled then note_spelling(spelled, at, raw, prefix, now) end
  return problem
end

local function record_failure(entry, worker_counter)
  local problem = failed(redis.pcall('RPUSH', KEYS[5], entry))
  if problem then return problem end
  redis.pcall('INCR', KEYS[4])
  redis.pcall('INCR', worker_counter)
end

local function retry(i, value)
  local given, spelled = spelling()
  local entry, limit, count = ARGV[arg], tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  local worker_counter, counter = KEYS[key], KEYS[key + 1]
  local first_delay = arg + 3
  arg, key = first_delay + count + 1, key + 2
  local trace, text
  if ARGV[arg - 1] == '1' then
    trace, text = KEYS[key], ARGV[arg]
    arg, key = arg + 1, key + 1
  end
  if not value then return end
  local before = tonumber(redis.pcall('GET', counter)) or -1
  local attempt = before + 2
  if attempt >= limit then
    local problem = record_failure(entry, worker_counter)
    if not problem then redis.call('DEL', counter, trace or counter) end
    return problem
  end
  local delay = tonumber(ARGV[first_delay + math.min(attempt, count) - 1])
  local problem = delay_until(given, unmarked(payload(value)), spelled, delay)
  if problem then return problem end
  -- It lives a day longer than the longest wait, so that no attempt outlives its count.
  local life = math.ceil(delay / 1000) + 86400
  redis.call('SET', counter, int(before + 1), 'EX', int(life))
  if trace then redis.call('SET', trace, text, 'EX', int(life)) end
  redis.pcall('INCR', KEYS[4])
  redis.pcall('INCR', worker_counter)
  ends[#ends + 1] = i
  ends[#ends + 1] = 'attempt ' .. int(attempt)
  return nil, true
end

local function release_job(value)
  local raw, name, list, wake = ARGV[arg], ARGV[arg + 1], KEYS[key], KEYS[key + 1]
  arg, key = arg + 2, key + 2
  if not value then return end
  local problem = failed(redis.pcall('LPUSH', list, raw ~= '' and raw or payload(value)))
  if problem then return problem end
  notify_enqueued(KEYS[6], name, wake, KEYS[9])
end

-- Returns an error's text if the ending cannot be recorded, and whether the job is to come again.
local function settle(i, ending, value)
  if ending == 'D' then
    key = key + 1
    if value then done[#done + 1] = KEYS[key - 1] end
  elseif ending == 'F' then
    local entry, counter = ARGV[arg], KEYS[key]
    arg, key = arg + 1, key + 1
    return value and record_failure(entry, counter)
  elseif ending == 'B' then
    return release_job(value), true
  elseif ending == 'L' then
    local given, spelled = spelling()
    arg = arg + 1
    return value and delay_until(given, payload(value), spelled, tonumber(ARGV[arg - 1])), true
  elseif ending == 'R' then
    return retry(i, value)
  end
end

-- Ends what goes with a claim: those of its locks that are still its own, and counters.
local function release_resources(owner, first, locks, counters)
  local gone = { unpack(KEYS, first + locks, first + locks + counters - 1) }
  for i, value in ipairs(locks > 0 and redis.call('MGET', unpack(KEYS, first, first + locks - 1)) or {}) do
    if value and string.match(value, '^%d+:(.*)$') == owner then gone[#gone + 1] = KEYS[first + i - 1] end
  end
  if #gone > 0 then redis.call('DEL', unpack(gone)) end
end

-- Why the next run of a periodic task cannot be delayed, or nil. It is asked before the ending is recorded, so that a task
-- whose next run has no place keeps its claim instead of its last copy.
local function blocks_next(ending, first_arg, first_key)
  if ending == 'B' or ending == 'L' or redis.pcall('HEXISTS', KEYS[first_key], ARGV[first_arg]) == 1 then return nil end
  return not_delayable(next_due_time(now, tonumber(ARGV[first_arg + 1])), KEYS[7], prefix)
end

-- Delays the next run of a periodic task, or stops the task.
local function delay_next_run(i, first_arg, first_key, texts, has_failed)
  local name, stopped = ARGV[first_arg], KEYS[first_key]
  if redis.pcall('HEXISTS', stopped, name) == 1 then return end
  if has_failed and ARGV[first_arg + 2] == '1' then
    if not failed(redis.pcall('HSET', stopped, name, 'failed')) then keep(stopped) end
    return
  end
  local at = next_due_time(now, tonumber(ARGV[first_arg + 1]))
  remove_delayed(texts, first_arg + 3, first_key + 1, KEYS[7], prefix)
  delay_to(at, ARGV[first_arg + 3], KEYS[7], KEYS[8], prefix)
  ends[#ends + 1] = i
  ends[#ends + 1] = 'next ' .. int(at)
end

for i = 1, slots do
  local mark = ARGV[slot_arg + 2 * (i - 1) + 1]
  local ending = string.sub(mark, 2, 2)
  if ending ~= '-' then
    local first, locks, counters, texts, next_arg, next_key
    if string.byte(ending) > 90 then
      ending, first, locks, counters = string.upper(ending), key, tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
      texts = tonumber(ARGV[arg + 2])
      arg, key = arg + 3, key + locks + counters
      if texts > 0 then
        next_arg, next_key = arg, key
        arg, key = arg + 3 + texts, key + 1 + texts
      end
    end
    local value, token = held[worker_keys[i]] or nil, string.sub(mark, 3)
    if not is_claim(value, token) then value = nil end
    local blocked = value and next_arg and blocks_next(ending, next_arg, next_key)
    local problem, again = settle(i, ending, not blocked and value or nil)
    if not value or blocked or problem then
      ends[#ends + 1] = i
      ends[#ends + 1] = value and 'error ' .. (blocked or problem) or 'gone'
      if first and not value then
        release_resources(process .. '+' .. ARGV[slot_arg + 2 * (i - 1)] .. '/' .. token, first, locks, 0)
      end
    else
      ended[#ended + 1] = worker_keys[i]
      held[worker_keys[i]] = false
      if next_arg and not again then delay_next_run(i, next_arg, next_key, texts, ending == 'F' or ending == 'R') end
      if first then
        release_resources(process .. '+' .. ARGV[slot_arg + 2 * (i - 1)] .. '/' .. token, first, locks, counters)
      end
    end
  end
end
if #ended > 0 then redis.call('DEL', unpack(ended)) end
if #done > 0 then
  redis.pcall('INCRBY', KEYS[3], #done)
  local counts, pairs_, last = redis.call('MGET', unpack(done)), {}, 0
  for i = 1, #done do
    local count = tonumber(counts[i] or '0')
    if count then
      -- A number that is not too large is written as its digits.
      pairs_[last + 1], pairs_[last + 2] = done[i], count < 1e15 and count + 1 or int(count + 1)
      last = last + 2
    end
  end
  if last > 0 then redis.pcall('MSET', unpack(pairs_)) end
end

-- claiming ---------------------------------------------------------------------------------------------------------

local registered, paused = may_claim(process, pause)
local free, names = {}, {}
for i = 1, slots do
  names[i] = ARGV[slot_arg + 2 * (i - 1)]
  local is_free = string.byte(ARGV[slot_arg + 2 * (i - 1) + 1]) == 49
  if is_free and registered == 1 and paused == 0 and not is_claim(held[worker_keys[i]]) then free[#free + 1] = i end
end
local waiting, problems, claims =
  claim_jobs(free, names, queues, slot_key, queue_arg, process, ARGV[7], ARGV[8], max_bytes)
return { { registered, paused, waiting }, ends, problems, claims }
