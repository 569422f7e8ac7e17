-- Move due jobs to the ends of their queues, or to the failed list. Each job is written there before it is removed from
-- its list.
--
-- Reads keys schedule, master lock of resque-scheduler, queues, wake list for new queues, failed list, counter of
-- failed jobs; now, prefix, number of moves; for each keys list of its due time, set of its due times, texts due time,
-- payload, flag whether it moves to the failed list; if so text failed entry; otherwise keys queue, wake list of the
-- queue, text queue, texts equivalent payloads, guards.
-- Returns for each move 'queued', 'merged', 'held', 'failed', 'missed' or 'wrong_type'.
--!include arguments
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include foreign
local schedule, master_lock, queues, wake_new = read_key(), read_key(), read_key(), read_key()
local failures, failed_count = read_key(), read_key()
local now, prefix = read_now(), read_text()
allow_oom(schedule)
local seconds, results = math.floor(now / 1000), {}
local foreign_leader = foreign_leads(master_lock, prefix)

local function remove(due_time, bucket, index, payload, position)
  if position == 0 then redis.call('LPOP', bucket) else redis.call('LREM', bucket, 1, payload) end
  -- The list may hold the same payload again. Only 100 entries are searched, since a list can be very long.
  if type(redis.pcall('LPOS', bucket, payload, 'MAXLEN', 100)) ~= 'number' then
    redis.pcall('SREM', index, 'delayed:' .. due_time)
  else
    redis.pcall('SADD', index, 'delayed:' .. due_time)
  end
  if redis.call('EXISTS', bucket) == 0 then redis.pcall('ZREM', schedule, due_time) end
end

local function fail(entry)
  if failed(redis.pcall('RPUSH', failures, entry)) then return 'wrong_type' end
  redis.pcall('INCR', failed_count)
  return 'failed'
end

-- Return whether the job, or an equivalent one, is in the queue.
local function is_queued(list, payload, equivalents)
  if type(redis.pcall('LPOS', list, payload)) == 'number' then return true end
  for _, equivalent in ipairs(equivalents) do
    if type(redis.pcall('LPOS', list, equivalent)) == 'number' then return true end
  end
  return false
end

-- Acquire the guards' locks, also orphaned ones, or return what happens to the job instead.
local function acquire_or_merge(guards, list, payload, equivalents, moving)
  local held, failed_guard = acquire_guards(guards, now, prefix, nil, moving)
  if held then return held end
  if failed_guard.kind ~= 'lock' or is_queued(list, payload, equivalents) then return nil, 'merged' end
  if not failed_guard.shared then
    held, failed_guard = acquire_guards(guards, now, prefix, 'force', moving)
    if held then return held end
  end
  return nil, failed_guard.kind ~= 'lock' and 'merged' or 'held'
end

-- Move a job to its queue, and return the result.
local function enqueue(due_time, payload, target)
  local list, guards = target.list, target.guards
  local held, otherwise = acquire_or_merge(guards, list, payload, target.equivalents, due_time .. ' ' .. payload)
  if not held then return otherwise end
  if failed(redis.pcall('RPUSH', list, payload)) then
    release_locks(held)
    return 'wrong_type'
  end
  notify_enqueued(queues, target.queue, target.wake, wake_new)
  return 'queued'
end

for i = 1, read_number() do
  local bucket, index, due_time, payload = read_key(), read_key(), read_text(), read_text()
  local failure = read_flag() and read_text()
  local target = not failure and { list = read_key(), wake = read_key(), queue = read_text() }
  if target then target.equivalents, target.guards = read_texts(), read_guards() end
  local position = redis.pcall('LPOS', bucket, payload)
  local result = 'missed'
  if not foreign_leader and tonumber(due_time) <= seconds and type(position) == 'number' then
    if failure then
      result = fail(failure)
    else
      -- The entry itself must not count as delayed for its own guards.
      redis.pcall('SREM', index, 'delayed:' .. due_time)
      result = enqueue(due_time, payload, target)
    end
    if result == 'wrong_type' or result == 'held' then
      redis.pcall('SADD', index, 'delayed:' .. due_time)
    else
      remove(due_time, bucket, index, payload, position)
    end
  end
  results[i] = result
end
expect_end()
return results
