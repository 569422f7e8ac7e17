-- Stores jobs until their moment; what is not in the future goes to its queue at once.
--
-- KEYS[1] queues, KEYS[2] wake list for new queues, KEYS[3] wake list of schedulers, KEYS[4] sorted set of moments
-- KEYS[5+] for each job: set of its moments, its queue, the queue's wake list; then its guards' keys
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (lists of moments are derived from it); then for each job:
--         moment in seconds or '', delay in ms or '' (one of the two), queue, unique (1 or 0), number of guards, guards (as
--         in push.lua), raw
-- Returns for each job 'delayed', 'queued', 'already_delayed', 'duplicate' or 'error <text>'.
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include delaying
local now, rest = now_ms(ARGV[1])
local prefix = ARGV[2]
local seconds = math.floor(now / 1000)
local results = {}
local arg, key = 3, 5

-- The second in which a job is due, rounded up; nil if that is not in the future.
local function due_second(moment, delay)
  local exact = now + rest
  if moment ~= '' then
    local at = tonumber(moment)
    return at * 1000 > exact and at > seconds and math.ceil(at) or nil
  end
  return tonumber(delay) > 0 and math.ceil((exact + tonumber(delay)) / 1000) or nil
end

local function is_delayed(index, at, raw)
  local name = 'delayed:' .. int(at)
  return redis.pcall('SISMEMBER', index, name) == 1 and type(redis.pcall('LPOS', prefix .. name, raw)) == 'number'
end

local function enqueue(queue, list, wake, raw)
  local problem = failed(redis.pcall('RPUSH', list, raw))
  if not problem then notify_enqueued(KEYS[1], queue, wake, KEYS[2]) end
  return problem
end

while arg <= #ARGV do
  local queue, unique, guards = ARGV[arg + 2], ARGV[arg + 3], tonumber(ARGV[arg + 4])
  local index, list, wake = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local at = due_second(ARGV[arg], ARGV[arg + 1])
  local raw_at = arg + 5 + 2 * guards
  local raw = ARGV[raw_at]
  local result
  if at and unique == '1' and is_delayed(index, at, raw) then
    result = 'already_delayed'
  else
    local held = take(guards, arg + 5, key + 3, now, prefix, at and 'later' or nil)
    if held then
      local problem
      if at then
        problem = delay_to(at, raw, KEYS[4], KEYS[3], prefix)
      else
        problem = enqueue(queue, list, wake, raw)
      end
      if problem then release(held) end
      result = problem and 'error ' .. problem or (at and 'delayed' or 'queued')
    else
      result = 'duplicate'
    end
  end
  results[#results + 1] = result
  arg, key = raw_at + 1, key + 3 + guards
end
return results
