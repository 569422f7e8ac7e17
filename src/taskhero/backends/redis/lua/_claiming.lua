-- Claims jobs for free slots, queue by queue in strict order; each claim_is_current under its worker before it leaves its queue.
--
-- KEYS[1] processes; first_key: the worker keys of all slots, and behind them each queue's list and wake list
-- free: which of the slots may have a job (1 is the first); names: all slots' numbers
-- queues: how many there are; first_queue: the arguments with their names in JSON
-- Returns whether jobs are left, problems {queue index, text, ...}, claims {slot index, queue index, number, raw, ...}.
local function claim_jobs(free, names, queues, first_key, first_queue, process, token, run_at, max_bytes)
  local queue_key, next_free, bytes = first_key + #names, 1, 0
  local problems, claims, writes, taken = {}, {}, {}, {}

  local living
  -- How many processes share the queues; seldom asked, since a single job needs no sharing.
  local function sharers()
    living = living or math.max(1, redis.call('ZCOUNT', KEYS[1], '(0', '+inf'))
    return living
  end

  -- How many of these texts a batch may still have: at least one job in all.
  local function fitting(raws)
    for n = 1, #raws do
      bytes = bytes + #raws[n]
      if bytes > max_bytes and #claims + n > 1 then return n - 1 end
    end
    return #raws
  end

  local function claim(q, length)
    local list = KEYS[queue_key + 2 * (q - 1)]
    local share = math.min(#free - next_free + 1, length > 1 and math.ceil(length / sharers()) or 1)
    if share == 0 then return 0 end
    local raws = redis.call('LRANGE', list, 0, share - 1)
    local count, written, told = fitting(raws), #writes, #claims
    local head = '{"token":"' .. token .. '.'
    local middle = '","queue":' .. ARGV[first_queue + q - 1] .. ',"run_at":"' .. run_at .. '","worker":"' .. process .. '+'
    for n = 1, count do
      local i, number, raw = free[next_free], next_free, raws[n]
      next_free = next_free + 1
      writes[written + 1] = KEYS[first_key + i - 1]
      writes[written + 2] = head .. number .. middle .. names[i] .. '","payload":' .. raw .. '}'
      claims[told + 1], claims[told + 2], claims[told + 3], claims[told + 4] = i, q, number, raw
      written, told = written + 2, told + 4
    end
    if count > 0 then taken[#taken + 1] = { list, count } end
    return count
  end

  local emptied, left, later = {}, {}, #free > 0
  for q = 1, later and queues or 0 do
    local length = redis.pcall('LLEN', KEYS[queue_key + 2 * (q - 1)])
    local problem = failed(length)
    if problem then
      problems[#problems + 1] = q
      problems[#problems + 1] = problem
    elseif length > 0 then
      -- What an earlier queue still holds, be it somebody else's share, comes before all of this one.
      local count = later and claim(q, length) or 0
      later = later and count == length
      local which = count == length and emptied or left
      which[#which + 1] = KEYS[queue_key + 2 * (q - 1) + 1]
    end
  end
  -- A deletion comes first in any case, so that a full server lets the rest pass.
  if #emptied > 0 then
    redis.call('DEL', unpack(emptied))
  elseif #writes > 0 then
    allow_oom(KEYS[1])
  end
  if #writes > 0 then redis.call('MSET', unpack(writes)) end
  for _, pop in ipairs(taken) do redis.call('LPOP', pop[1], pop[2]) end
  if #left > 0 and (next_free <= #free or sharers() > 1) then
    for _, wake in ipairs(left) do signal(wake) end
  end
  return #left > 0 and 1 or 0, problems, claims
end

-- Whether the process is alive and nobody paused all workers, each as 1 or 0. Blanks are ignored, as by Ruby.
local function may_claim(process, pause)
  local lease = redis.call('ZSCORE', KEYS[1], process)
  local registered = lease and tonumber(lease) > 0 and 1 or 0
  return registered, pause and string.find(string.lower(pause), '^%s*true%s*$') and 1 or 0
end

-- Whether this claim_is_current for a claim of ours, and, with a token given, for that one; what does not, keeps no slot from work.
local function is_claim(value, token)
  if not value or string.find(value, '{"token":"', 1, true) ~= 1 then return false end
  -- Compared where it claim_is_current: to make a text only to compare it costs several times as much.
  return not token or (string.find(value, token, 11, true) == 11 and string.byte(value, 11 + #token) == 34)
end
