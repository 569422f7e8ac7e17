-- What ends with a job beside its claim: its locks and counters. And what follows it: the next run of a periodic task.

-- Read the resources of settlements: number of settlements that have any; for each number position of its slot, several
-- keys locks to release, several keys counters to delete, flag whether a periodic task's next run follows; if so key
-- why tasks are stopped, text the task's name, number frequency in ms, flag whether a failure stops it, texts payloads
-- (that of the next job first), several keys the sets of their due times. Return them by the slots' positions.
local function read_resources()
  local resources = {}
  for _ = 1, read_number() do
    local slot = read_number()
    local own = { locks = read_keys(), counters = read_keys() }
    if read_flag() then
      own.next_run = { stops = read_key(), name = read_text(), frequency = read_number(), stop_if_failed = read_flag() }
      own.next_run.payloads, own.next_run.indexes = read_texts(), read_keys()
    end
    resources[slot] = own
  end
  return resources
end

-- Delete the locks that the claim still owns, and the given counters.
local function release_resources(owner, locks, counters)
  local deleted = { unpack(counters) }
  for i, value in ipairs(#locks > 0 and redis.call('MGET', unpack(locks)) or {}) do
    if value and string.match(value, '^%d+:(.*)$') == owner then deleted[#deleted + 1] = locks[i] end
  end
  if #deleted > 0 then redis.call('DEL', unpack(deleted)) end
end

-- Return why the next run of a periodic task cannot be delayed, or nil. This precedes the settlement, so that the claim
-- stays if the next run cannot be stored.
local function next_run_problem(step, next_run, kind)
  if kind == 'released' or kind == 'postponed' then return nil end
  if redis.pcall('HEXISTS', next_run.stops, next_run.name) == 1 then return nil end
  return not_delayable(next_due_time(step.now, next_run.frequency), step.schedule, step.prefix)
end

-- Delay the next run of a periodic task, or stop the task. Return the due time if it was delayed.
local function delay_next_run(step, next_run, has_failed)
  if redis.pcall('HEXISTS', next_run.stops, next_run.name) == 1 then return nil end
  if has_failed and next_run.stop_if_failed then
    if not failed(redis.pcall('HSET', next_run.stops, next_run.name, 'failed')) then touch_ttl(next_run.stops) end
    return nil
  end
  local at = next_due_time(step.now, next_run.frequency)
  remove_delayed(next_run.payloads, next_run.indexes, step.schedule, step.prefix)
  delay_to(at, next_run.payloads[1], step.schedule, step.wake_schedule, step.prefix)
  return at
end
