-- Move due jobs to the ends of their queues, or to the failed list. Each job is written there before it is removed from
-- its list.
--
-- KEYS[1] schedule (sorted set of due times), KEYS[2] master lock of resque-scheduler, KEYS[3] queues
-- KEYS[4] wake list for new queues, KEYS[5] failed list, KEYS[6] counter of failed jobs
-- KEYS[7+] for each move: list of its due time, set of its due times, its queue, the queue's wake list; then its
-- guards' keys
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace; then for each move: due time, queue ('' with a failure),
--         failure ('' with a queue), number of guards, guards (as in push.lua), payload, number of equivalent payloads,
--         these
-- Returns for each move 'queued', 'merged', 'held', 'failed', 'missed' or 'wrong_type'.
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include foreign
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local prefix = ARGV[2]
local seconds = math.floor(now / 1000)
local foreign_leader = foreign_leads(KEYS[2], prefix)
local results = {}
local arg, key = 3, 7

local function remove(due_time, bucket, index, payload, position)
  if position == 0 then redis.call('LPOP', bucket) else redis.call('LREM', bucket, 1, payload) end
  -- The list may hold the same payload again. Only 100 entries are searched, since a list can be very long.
  if type(redis.pcall('LPOS', bucket, payload, 'MAXLEN', 100)) ~= 'number' then
    redis.pcall('SREM', index, 'delayed:' .. due_time)
  else
    redis.pcall('SADD', index, 'delayed:' .. due_time)
  end
  if redis.call('EXISTS', bucket) == 0 then redis.pcall('ZREM', KEYS[1], due_time) end
end

local function fail(entry)
  if failed(redis.pcall('RPUSH', KEYS[5], entry)) then return 'wrong_type' end
  redis.pcall('INCR', KEYS[6])
  return 'failed'
end

local function enqueue(queue, list, wake, payload, held)
  if failed(redis.pcall('RPUSH', list, payload)) then
    release_locks(held)
    return 'wrong_type'
  end
  notify_enqueued(KEYS[3], queue, wake, KEYS[4])
  return 'queued'
end

-- Return whether the job, or an equivalent one, is in the queue.
local function is_queued(list, payload, count, first)
  if type(redis.pcall('LPOS', list, payload)) == 'number' then return true end
  for i = first, first + count - 1 do
    if type(redis.pcall('LPOS', list, ARGV[i])) == 'number' then return true end
  end
  return false
end

-- Acquire the guards' locks, also orphaned ones, or return what happens to the job instead.
local function acquire_or_merge(guards, first, first_key, list, payload, count, first_equivalent, moving)
  local held, _, _, failed_guard = acquire_guards(guards, first, first_key, now, prefix, nil, moving)
  if held then return held end
  if failed_guard == 'D' or is_queued(list, payload, count, first_equivalent) then return nil, 'merged' end
  if failed_guard == 'L' then
    held, _, _, failed_guard = acquire_guards(guards, first, first_key, now, prefix, 'force', moving)
    if held then return held end
  end
  return nil, failed_guard == 'D' and 'merged' or 'held'
end

while arg <= #ARGV do
  local due_time, queue, failure, guards = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], tonumber(ARGV[arg + 3])
  local bucket, index, list, wake = KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
  local payload_arg = arg + 4 + 2 * guards
  local payload, equivalent_count = ARGV[payload_arg], tonumber(ARGV[payload_arg + 1])
  local position = redis.pcall('LPOS', bucket, payload)
  local result = 'missed'
  if not foreign_leader and tonumber(due_time) <= seconds and type(position) == 'number' then
    if failure ~= '' then
      result = fail(failure)
    else
      -- The entry itself must not count as delayed for its own guards.
      redis.pcall('SREM', index, 'delayed:' .. due_time)
      local moving = due_time .. ' ' .. payload
      local held, otherwise =
        acquire_or_merge(guards, arg + 4, key + 4, list, payload, equivalent_count, payload_arg + 2, moving)
      result = held and enqueue(queue, list, wake, payload, held) or otherwise
    end
    if result == 'wrong_type' or result == 'held' then
      redis.pcall('SADD', index, 'delayed:' .. due_time)
    else
      remove(due_time, bucket, index, payload, position)
    end
  end
  results[#results + 1] = result
  arg, key = payload_arg + 2 + equivalent_count, key + 4 + guards
end
return results
