-- Return whether a worker key still holds the claim with this token.
local function claim_is_current(worker, token)
  local value = redis.pcall('GET', worker)
  local head = '{"token":"' .. token .. '"'
  return type(value) == 'string' and string.sub(value, 1, #head) == head
end

-- Return whether a lock that another program left without a lifetime has expired: 60 seconds after the second that its
-- value names.
local function has_expired(lock, value, now)
  local second = type(value) == 'string' and tonumber(string.match(value, '^%s*[+-]?%d+'))
  return second and math.floor(now / 1000) >= second + 60 and redis.call('PTTL', lock) == -1
end

-- Return the owner of a lock: nil if it is free, '' if it is not a lock of taskhero's, whatever its value or type.
local function lock_owner(lock, now, processes)
  local value = redis.pcall('GET', lock)
  if not value then return nil end
  local expiry, owner
  if type(value) == 'string' then expiry, owner = string.match(value, '^(%d+):(.*)$') end
  if not owner then
    if has_expired(lock, value, now) then return nil end
    return ''
  end
  -- Redis expires the lock. Where a test sets the time, the number in its value decides.
  if tonumber(expiry) < math.floor(now / 1000) or owner_is_dead(processes, value) then return nil end
  return owner
end

-- Hold a lock for a number of milliseconds. Its value begins with the second of its expiry, as node-resque writes it.
local function hold_lock(lock, owner, now, milliseconds)
  milliseconds = math.max(1, milliseconds)
  redis.call('SET', lock, int(math.floor((now + milliseconds) / 1000) + 1) .. ':' .. owner, 'PX', int(milliseconds))
end
