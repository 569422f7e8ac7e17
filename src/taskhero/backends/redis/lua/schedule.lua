-- Stores jobs until their moment; what is not in the future goes to its queue at once.
--
-- KEYS[1] queues, KEYS[2] wake list for new queues, KEYS[3] wake list of schedulers, KEYS[4] sorted set of moments
-- KEYS[5+] for each job: list of its moment, set of its moments, its queue, the queue's wake list; then its guards' keys
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace; then for each job:
--         moment, queue, unique (1 or 0), number of guards, guards (as in push.lua), raw
-- Returns for each job 'delayed', 'queued', 'duplicate', 'refused' or 'error <text>'.
--!include common
--!include guards
local now = now_ms(ARGV[1])
local prefix = ARGV[2]
local seconds = math.floor(now / 1000)
local results = {}
local arg, key = 3, 5

local function store(at, bucket, index, raw, name)
  local problem = failed(redis.pcall('RPUSH', bucket, raw))
  if problem then return problem end
  local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
  redis.pcall('SADD', index, 'delayed:' .. name)
  redis.call('ZADD', KEYS[4], name, name)
  if not first[2] or at < tonumber(first[2]) then ring(KEYS[3]) end
end

while arg <= #ARGV do
  local name, queue, unique, guards = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], tonumber(ARGV[arg + 3])
  local bucket, index, list, wake = KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
  local at = tonumber(name)
  local raw_at = arg + 4 + 2 * guards
  local raw = ARGV[raw_at]
  local result
  if at > seconds and unique == '1' and redis.pcall('SISMEMBER', index, 'delayed:' .. name) == 1
    and type(redis.pcall('LPOS', bucket, raw)) == 'number' then
    result = 'duplicate'
  else
    local held = take(guards, arg + 4, key + 4, now, prefix, at > seconds and 'later' or nil)
    if not held then
      result = 'refused'
    elseif at > seconds then
      local problem = store(at, bucket, index, raw, name)
      if problem then release(held) end
      result = problem and 'error ' .. problem or 'delayed'
    else
      local problem = failed(redis.pcall('RPUSH', list, raw))
      if problem then release(held) else arrived(KEYS[1], queue, wake, KEYS[2]) end
      result = problem and 'error ' .. problem or 'queued'
    end
  end
  results[#results + 1] = result
  arg, key = raw_at + 1, key + 4 + guards
end
return results
