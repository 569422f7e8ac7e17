-- Store jobs until their due times. A job that is due now enters its queue at once.
--
-- KEYS[1] queues, KEYS[2] wake list for new queues, KEYS[3] wake list of schedulers
-- KEYS[4] schedule (sorted set of due times)
-- KEYS[5+] for each job: set of its due times, its queue, the queue's wake list; then its guards' keys
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (for the lists of due times); then for each job: due time in
--         seconds or '', delay in ms or '' (one of the two), queue, unique (1 or 0), number of guards, guards (as in
--         push.lua), payload
-- Returns for each job 'delayed', 'queued', 'already_delayed', 'duplicate' or 'error <message>'.
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include delaying
local now, fraction = now_ms(ARGV[1])
local prefix = ARGV[2]
local seconds = math.floor(now / 1000)
local results = {}
local arg, key = 3, 5

-- Return the second in which a job is due, rounded up, or nil if that is not in the future.
local function due_second(due_time, delay)
  local exact = now + fraction
  if due_time ~= '' then
    local at = tonumber(due_time)
    return at * 1000 > exact and at > seconds and math.ceil(at) or nil
  end
  return tonumber(delay) > 0 and math.ceil((exact + tonumber(delay)) / 1000) or nil
end

local function is_delayed(index, at, payload)
  local name = 'delayed:' .. int(at)
  return redis.pcall('SISMEMBER', index, name) == 1 and type(redis.pcall('LPOS', prefix .. name, payload)) == 'number'
end

local function enqueue(queue, list, wake, payload)
  local problem = failed(redis.pcall('RPUSH', list, payload))
  if not problem then notify_enqueued(KEYS[1], queue, wake, KEYS[2]) end
  return problem
end

while arg <= #ARGV do
  local queue, unique, guards = ARGV[arg + 2], ARGV[arg + 3], tonumber(ARGV[arg + 4])
  local index, list, wake = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local at = due_second(ARGV[arg], ARGV[arg + 1])
  local payload_arg = arg + 5 + 2 * guards
  local payload = ARGV[payload_arg]
  local result
  if at and unique == '1' and is_delayed(index, at, payload) then
    result = 'already_delayed'
  else
    local held = acquire_guards(guards, arg + 5, key + 3, now, prefix, at and 'delayed' or nil)
    if held then
      local problem
      if at then
        problem = delay_to(at, payload, KEYS[4], KEYS[3], prefix)
      else
        problem = enqueue(queue, list, wake, payload)
      end
      if problem then release_locks(held) end
      result = problem and 'error ' .. problem or (at and 'delayed' or 'queued')
    else
      result = 'duplicate'
    end
  end
  results[#results + 1] = result
  arg, key = payload_arg + 1, key + 3 + guards
end
return results
