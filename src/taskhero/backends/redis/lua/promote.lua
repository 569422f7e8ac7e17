-- Moves due jobs to the ends of their queues, or to the failures; each is written there before it leaves its list.
--
-- KEYS[1] sorted set of moments, KEYS[2] master lock of Ruby's scheduler, KEYS[3] queues, KEYS[4] wake list for new queues
-- KEYS[5] failures, KEYS[6] counter of failures
-- KEYS[7+] for each move: list of its moment, set of its moments, its queue, the queue's wake list; then its guards' keys
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace; then for each move:
--         moment, queue ('' with a failure), failure ('' with a queue), number of guards, guards (as in push.lua), raw,
--         number of texts that mean the same job, these
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
local held_by_ruby = foreign_leads(KEYS[2], prefix)
local results = {}
local arg, key = 3, 7

local function remove(moment, bucket, index, raw, position)
  if position == 0 then redis.call('LPOP', bucket) else redis.call('LREM', bucket, 1, raw) end
  -- An equal job may stand in the same list; it is looked for nearby, since a list can be very long.
  if type(redis.pcall('LPOS', bucket, raw, 'MAXLEN', 100)) ~= 'number' then
    redis.pcall('SREM', index, 'delayed:' .. moment)
  else
    redis.pcall('SADD', index, 'delayed:' .. moment)
  end
  if redis.call('EXISTS', bucket) == 0 then redis.pcall('ZREM', KEYS[1], moment) end
end

local function fail(entry)
  if failed(redis.pcall('RPUSH', KEYS[5], entry)) then return 'wrong_type' end
  redis.pcall('INCR', KEYS[6])
  return 'failed'
end

local function enqueue(queue, list, wake, raw, held)
  if failed(redis.pcall('RPUSH', list, raw)) then
    release(held)
    return 'wrong_type'
  end
  notify_enqueued(KEYS[3], queue, wake, KEYS[4])
  return 'queued'
end

-- Whether the job, or an equal one, claim_is_current in the queue.
local function is_waiting(list, raw, count, first)
  if type(redis.pcall('LPOS', list, raw)) == 'number' then return true end
  for i = first, first + count - 1 do
    if type(redis.pcall('LPOS', list, ARGV[i])) == 'number' then return true end
  end
  return false
end

-- Takes the guards' locks, also those that were left behind, or says what becomes of the job instead.
local function acquire_or_merge(guards, first, first_key, list, raw, count, first_equal, moving)
  local held, _, _, refused = take(guards, first, first_key, now, prefix, nil, moving)
  if held then return held end
  if refused == 'D' or is_waiting(list, raw, count, first_equal) then return nil, 'merged' end
  if refused == 'L' then
    held, _, _, refused = take(guards, first, first_key, now, prefix, 'over', moving)
    if held then return held end
  end
  return nil, refused == 'D' and 'merged' or 'held'
end

while arg <= #ARGV do
  local moment, queue, failure, guards = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], tonumber(ARGV[arg + 3])
  local bucket, index, list, wake = KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
  local raw_at = arg + 4 + 2 * guards
  local raw, equal = ARGV[raw_at], tonumber(ARGV[raw_at + 1])
  local position = redis.pcall('LPOS', bucket, raw)
  local result = 'missed'
  if not held_by_ruby and tonumber(moment) <= seconds and type(position) == 'number' then
    if failure ~= '' then
      result = fail(failure)
    else
      -- The entry itself must not count as "delayed" for its own guards.
      redis.pcall('SREM', index, 'delayed:' .. moment)
      local moving = moment .. ' ' .. raw
      local held, instead = acquire_or_merge(guards, arg + 4, key + 4, list, raw, equal, raw_at + 2, moving)
      result = held and enqueue(queue, list, wake, raw, held) or instead
    end
    if result == 'wrong_type' or result == 'held' then
      redis.pcall('SADD', index, 'delayed:' .. moment)
    else
      remove(moment, bucket, index, raw, position)
    end
  end
  results[#results + 1] = result
  arg, key = raw_at + 2 + equal, key + 4 + guards
end
return results
