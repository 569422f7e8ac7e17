-- Whether a claim still claim_is_current under its worker.
local function claim_is_current(worker, token)
  local value = redis.pcall('GET', worker)
  local head = '{"token":"' .. token .. '"'
  return type(value) == 'string' and string.sub(value, 1, #head) == head
end

-- Whether a lock that another program left without a lifetime is over: 60 seconds after the second that its text names.
local function is_over(lock, value, now)
  local second = type(value) == 'string' and tonumber(string.match(value, '^%s*[+-]?%d+'))
  return second and math.floor(now / 1000) >= second + 60 and redis.call('PTTL', lock) == -1
end

-- Whose a lock is: nil if it is free, '' if it is none of taskhero's, whatever its value or type.
local function lock_owner(lock, now, processes)
  local value = redis.pcall('GET', lock)
  if not value then return nil end
  local lapses, owner
  if type(value) == 'string' then lapses, owner = string.match(value, '^(%d+):(.*)$') end
  if not owner then
    if is_over(lock, value, now) then return nil end
    return ''
  end
  -- It lapses by itself; where a test sets the time, its number says when.
  if tonumber(lapses) < math.floor(now / 1000) or owner_is_dead(processes, value) then return nil end
  return owner
end

-- Holds a lock for so many milliseconds; its number is the second in which it lapses, as node-resque writes it.
local function hold(lock, owner, now, milliseconds)
  milliseconds = math.max(1, milliseconds)
  redis.call('SET', lock, int(math.floor((now + milliseconds) / 1000) + 1) .. ':' .. owner, 'PX', int(milliseconds))
end
