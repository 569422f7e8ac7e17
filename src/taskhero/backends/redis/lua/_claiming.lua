-- Claim jobs for free slots, queue by queue in strict order. Each claim is written to its worker key before its payload
-- is removed from the queue.
--
-- workers, names: worker keys and numbers of the slots; free: positions of the slots that may get a job
-- queues: see `read_queues`; claimer: {process, token of the batch, run_at, max_bytes}
-- Returns 1 if jobs are left (else 0), problems {queue index, error, ...}, claims {slot index, queue index, number,
-- payload, ...}.
local function claim_jobs(processes, workers, names, free, queues, claimer)
  local next_free, bytes = 1, 0
  local problems, claims, writes, pops = {}, {}, {}, {}
  local head = '{"token":"' .. claimer.token .. '.'
  local tail = ',"run_at":"' .. claimer.run_at .. '","worker":"' .. claimer.process .. '+'

  local process_count
  -- Return the number of live processes that share the queues. Read on demand: a single job needs no sharing.
  local function count_processes()
    process_count = process_count or math.max(1, redis.call('ZCOUNT', processes, '(0', '+inf'))
    return process_count
  end

  -- Return how many of these payloads fit into the batch. A batch holds at least one job, however large.
  local function count_fitting(payloads)
    for n = 1, #payloads do
      bytes = bytes + #payloads[n]
      if bytes > claimer.max_bytes and #claims + n > 1 then return n - 1 end
    end
    return #payloads
  end

  local function claim(q, length)
    local list = queues[q].list
    local share = math.min(#free - next_free + 1, length > 1 and math.ceil(length / count_processes()) or 1)
    if share == 0 then return 0 end
    local payloads = redis.call('LRANGE', list, 0, share - 1)
    local count, write_end, claim_end = count_fitting(payloads), #writes, #claims
    local middle = '","queue":' .. queues[q].name .. tail
    for n = 1, count do
      local i, number, payload = free[next_free], next_free, payloads[n]
      next_free = next_free + 1
      writes[write_end + 1] = workers[i]
      writes[write_end + 2] = head .. number .. middle .. names[i] .. '","payload":' .. payload .. '}'
      claims[claim_end + 1], claims[claim_end + 2], claims[claim_end + 3], claims[claim_end + 4] = i, q, number, payload
      write_end, claim_end = write_end + 2, claim_end + 4
    end
    if count > 0 then pops[#pops + 1] = { list, count } end
    return count
  end

  local emptied, nonempty, claimable = {}, {}, #free > 0
  for q = 1, claimable and #queues or 0 do
    local length = redis.pcall('LLEN', queues[q].list)
    local problem = failed(length)
    if problem then
      problems[#problems + 1] = q
      problems[#problems + 1] = problem
    elseif length > 0 then
      -- What an earlier queue still holds, also as the share of another process, precedes all jobs of this one.
      local count = claimable and claim(q, length) or 0
      claimable = claimable and count == length
      local wake_lists = count == length and emptied or nonempty
      wake_lists[#wake_lists + 1] = queues[q].wake
    end
  end
  -- A full server accepts the writes of a script that follow a deletion.
  if #emptied > 0 then
    redis.call('DEL', unpack(emptied))
  elseif #writes > 0 then
    allow_oom(processes)
  end
  if #writes > 0 then redis.call('MSET', unpack(writes)) end
  for _, pop in ipairs(pops) do redis.call('LPOP', pop[1], pop[2]) end
  if #nonempty > 0 and (next_free <= #free or count_processes() > 1) then
    for _, wake in ipairs(nonempty) do signal(wake) end
  end
  return #nonempty > 0 and 1 or 0, problems, claims
end

-- Read the queues to claim from: number of queues; for each keys list, wake list, text name in JSON.
local function read_queues()
  local queues = {}
  for q = 1, read_number() do queues[q] = { list = read_key(), wake = read_key(), name = read_text() } end
  return queues
end

-- Return 1 or 0 for "the process is alive" and for "all workers are paused". Like Ruby, ignore blanks around "true".
local function may_claim(processes, process, pause)
  local lease = redis.call('ZSCORE', processes, process)
  local registered = lease and tonumber(lease) > 0 and 1 or 0
  return registered, pause and string.find(string.lower(pause), '^%s*true%s*$') and 1 or 0
end

-- Return whether a value is a claim of taskhero, and, if a token is given, the claim with this token.
local function is_claim(value, token)
  if not value or string.find(value, '{"token":"', 1, true) ~= 1 then return false end
  -- Compare in place: creating a substring for each comparison costs several times as much.
  return not token or (string.find(value, token, 11, true) == 11 and string.byte(value, 11 + #token) == 34)
end
