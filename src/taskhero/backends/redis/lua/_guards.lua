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

-- Acquire the locks of `count` guards, all or none. `mode` is nil, 'delayed' (the job does not enter a queue yet, so no
-- lock is taken) or 'force' (locks are taken over, except shared ones). `moving` is the member '<second> <payload>' of
-- the delayed payload that is being promoted.
-- Returns the acquired locks (or false), the next argument, the next key, and the kind of the guard that does not hold
-- ('D' for one that looks for delayed payloads).
local function acquire_guards(count, arg, key, now, prefix, mode, moving)
  local next_arg, next_key, held = arg + 2 * count, key + count, {}
  for i = 0, count - 1 do
    local kind, lock = ARGV[arg + 2 * i], KEYS[key + i]
    local holds
    if kind == 'D' then
      holds = not is_delayed_anywhere(lock, ARGV[arg + 2 * i + 1], prefix)
    elseif kind == 'M' then
      kind, holds = 'D', not any_spelling_delayed(lock, prefix, moving)
    else
      holds = mode == 'delayed' or (mode == 'force' and kind == 'L') or is_free(lock, now, prefix)
    end
    if not holds then return false, next_arg, next_key, kind end
  end
  for i = 0, count - 1 do
    local kind = ARGV[arg + 2 * i]
    if kind ~= 'D' and kind ~= 'M' and mode ~= 'delayed' then
      local timeout, lock = tonumber(ARGV[arg + 2 * i + 1]), KEYS[key + i]
      redis.call('SET', lock, int(math.floor(now / 1000) + timeout + 1), 'EX', timeout)
      held[#held + 1] = lock
    end
  end
  return held, next_arg, next_key
end
