-- Shows the first jobs whose moment has come, and cleans up moments that can never be promoted.
--
-- KEYS[1] sorted set of moments, KEYS[2] master lock of Ruby's scheduler
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (lists of moments are named in the set), ARGV[3] how many
-- ARGV[4] '1' if a lock of Ruby's scheduler that is dead counts as none
-- Returns now in ms, whether Ruby's scheduler leads, the earliest moment or '', the jobs: moment and raw in turn, and what
-- is known of that scheduler's lock.
--!include common
--!include foreign
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local prefix, limit = ARGV[2], tonumber(ARGV[3])
local seconds = math.floor(now / 1000)
local schedule = KEYS[1]
local jobs = {}

-- A member such as '12.5' makes other schedulers spin: its jobs go to the next int second, as many as a step may take.
local function mend(member, score)
  local bucket = prefix .. 'delayed:' .. member
  local at = math.max(0, math.min(math.ceil(score), 2 ^ 52))
  -- A second whose list is of another type cannot take them, but one of the next can.
  while not_a_list(prefix .. 'delayed:' .. int(at)) do at = at + 1 end
  at = int(at)
  local raws = redis.pcall('LRANGE', bucket, 0, 499)
  if failed(raws) or #raws == 0 then
    redis.call('ZREM', schedule, member)
    return
  end
  for _, raw in ipairs(raws) do
    redis.call('RPUSH', prefix .. 'delayed:' .. at, raw)
    redis.pcall('SADD', prefix .. 'timestamps:' .. raw, 'delayed:' .. at)
    redis.pcall('SREM', prefix .. 'timestamps:' .. raw, 'delayed:' .. member)
  end
  redis.call('ZADD', schedule, at, at)
  redis.call('LTRIM', bucket, #raws, -1)
  if redis.call('EXISTS', bucket) == 0 then redis.call('ZREM', schedule, member) end
end

local function show(member)
  local raws = redis.pcall('LRANGE', prefix .. 'delayed:' .. member, 0, limit - #jobs / 2 - 1)
  if failed(raws) or #raws == 0 then
    redis.call('ZREM', schedule, member)
    return
  end
  for _, raw in ipairs(raws) do
    jobs[#jobs + 1] = member
    jobs[#jobs + 1] = raw
  end
end

local yielded, foreign = look_at_foreign(KEYS[2], prefix, now, ARGV[4] == '1')
if yielded == 0 then
  local found = redis.pcall('ZRANGEBYSCORE', schedule, '-inf', seconds, 'WITHSCORES', 'LIMIT', 0, limit)
  if failed(found) then return found end
  for i = 1, #found, 2 do
    local member, score = found[i], tonumber(found[i + 1]) or 0
    if member ~= '0' and not string.find(member, '^[1-9]%d*$') then
      mend(member, score)
    elseif tonumber(member) > seconds then
      redis.call('ZADD', schedule, member, member)
    elseif #jobs / 2 < limit then
      show(member)
    end
  end
end
local first = redis.pcall('ZRANGE', schedule, 0, 0, 'WITHSCORES')
local next_at = not failed(first) and first[2] or ''
if next_at ~= '' then next_at = int(math.ceil(math.max(0, math.min(tonumber(next_at) or 0, 2 ^ 52)))) end
return { int(now), yielded, next_at, jobs, foreign }
