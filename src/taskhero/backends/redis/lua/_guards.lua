-- Return whether a payload is delayed. Its index may name due times whose lists no longer hold it.
local function is_delayed_anywhere(index, payload, prefix)
  local members = redis.pcall('SMEMBERS', index)
  if failed(members) then return false end
  for _, member in ipairs(members) do
    if is_delayed_to(member, index, payload, prefix) then return true end
  end
  return false
end

-- Return whether a lock is free: missing, expired, or held by a dead process. Its value is the second of its expiry.
local function is_free(lock, now, prefix)
  local value = redis.pcall('GET', lock)
  if failed(value) then return false end
  -- The lock of a running job has its owner after the number.
  local expiry = value and tonumber(string.match(value, '^%s*[+-]?%d+'))
  return not expiry or math.floor(now / 1000) > expiry or owner_is_dead(prefix .. 'taskhero:processes', value)
end

local function release_locks(held)
  for _, lock in ipairs(held) do redis.call('DEL', lock) end
end

-- Read the guards of a job: number of guards; for each text kind, key; for a 'lock' number timeout in seconds, flag
-- shared; for a 'payload' (key: the set of its due times) text payload; for a 'meaning' (key: the payloads that
-- settlements delayed with it) nothing.
local function read_guards()
  local guards = {}
  for i = 1, read_number() do
    local guard = { kind = read_text(), key = read_key() }
    if guard.kind == 'lock' then
      guard.timeout, guard.shared = read_number(), read_flag()
    elseif guard.kind == 'payload' then
      guard.payload = read_text()
    end
    guards[i] = guard
  end
  return guards
end

-- Acquire the locks of guards, all or none. `mode` is nil, 'delayed' (the job does not enter a queue yet, so no lock is
-- taken) or 'force' (locks are taken over, except shared ones). `moving` is the member '<second> <payload>' of the
-- delayed payload that is being promoted.
-- Return the acquired locks, or nil and the guard that does not hold.
local function acquire_guards(guards, now, prefix, mode, moving)
  for _, guard in ipairs(guards) do
    local holds
    if guard.kind == 'payload' then
      holds = not is_delayed_anywhere(guard.key, guard.payload, prefix)
    elseif guard.kind == 'meaning' then
      holds = not any_spelling_delayed(guard.key, prefix, moving)
    else
      holds = mode == 'delayed' or (mode == 'force' and not guard.shared) or is_free(guard.key, now, prefix)
    end
    if not holds then return nil, guard end
  end
  local held = {}
  for _, guard in ipairs(mode == 'delayed' and {} or guards) do
    if guard.kind == 'lock' then
      redis.call('SET', guard.key, int(math.floor(now / 1000) + guard.timeout + 1), 'EX', guard.timeout)
      held[#held + 1] = guard.key
    end
  end
  return held
end
