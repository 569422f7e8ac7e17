-- Return the first due jobs, and clean up due times that can never be promoted.
--
-- Reads keys schedule, master lock of resque-scheduler; now, prefix, number maximum of jobs, flag whether a dead lock
-- of resque-scheduler counts as free.
-- Returns now in ms, whether resque-scheduler leads, the earliest due time or '', the jobs (due time and payload in
-- turn), and the state of resque-scheduler's lock.
--!include arguments
--!include common
--!include foreign
local schedule, master_lock = read_key(), read_key()
local now, prefix, limit, ignore_dead = read_now(), read_text(), read_number(), read_flag()
expect_end()
allow_oom(schedule)
local seconds = math.floor(now / 1000)
local jobs = {}

-- A member such as '12.5' makes other schedulers loop. Move its jobs to the next whole second, up to 500 in one step.
local function normalize_timestamp(member, score)
  local bucket = prefix .. 'delayed:' .. member
  local at = math.max(0, math.min(math.ceil(score), 2 ^ 52))
  -- The list of a second can have a wrong type. Use the first second whose list does not.
  while not_a_list(prefix .. 'delayed:' .. int(at)) do at = at + 1 end
  at = int(at)
  local payloads = redis.pcall('LRANGE', bucket, 0, 499)
  if failed(payloads) or #payloads == 0 then
    redis.call('ZREM', schedule, member)
    return
  end
  for _, payload in ipairs(payloads) do
    redis.call('RPUSH', prefix .. 'delayed:' .. at, payload)
    redis.pcall('SADD', prefix .. 'timestamps:' .. payload, 'delayed:' .. at)
    redis.pcall('SREM', prefix .. 'timestamps:' .. payload, 'delayed:' .. member)
  end
  redis.call('ZADD', schedule, at, at)
  redis.call('LTRIM', bucket, #payloads, -1)
  if redis.call('EXISTS', bucket) == 0 then redis.call('ZREM', schedule, member) end
end

local function add_jobs(member)
  local payloads = redis.pcall('LRANGE', prefix .. 'delayed:' .. member, 0, limit - #jobs / 2 - 1)
  if failed(payloads) or #payloads == 0 then
    redis.call('ZREM', schedule, member)
    return
  end
  for _, payload in ipairs(payloads) do
    jobs[#jobs + 1] = member
    jobs[#jobs + 1] = payload
  end
end

local yielded, foreign = observe_foreign_leader(master_lock, prefix, now, ignore_dead)
if yielded == 0 then
  local found = redis.pcall('ZRANGEBYSCORE', schedule, '-inf', seconds, 'WITHSCORES', 'LIMIT', 0, limit)
  if failed(found) then return found end
  for i = 1, #found, 2 do
    local member, score = found[i], tonumber(found[i + 1]) or 0
    if member ~= '0' and not string.find(member, '^[1-9]%d*$') then
      normalize_timestamp(member, score)
    elseif tonumber(member) > seconds then
      redis.call('ZADD', schedule, member, member)
    elseif #jobs / 2 < limit then
      add_jobs(member)
    end
  end
end
local first = redis.pcall('ZRANGE', schedule, 0, 0, 'WITHSCORES')
local next_at = not failed(first) and first[2] or ''
if next_at ~= '' then next_at = int(math.ceil(math.max(0, math.min(tonumber(next_at) or 0, 2 ^ 52)))) end
return { int(now), yielded, next_at, jobs, foreign }
