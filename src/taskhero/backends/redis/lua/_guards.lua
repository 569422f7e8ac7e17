-- Whether a text is really delayed: the index may name moments whose lists do not hold it any more.
local function delayed(index, form, prefix)
  local members = redis.pcall('SMEMBERS', index)
  if failed(members) then return false end
  for _, member in ipairs(members) do
    local position = redis.pcall('LPOS', prefix .. member, form)
    if type(position) == 'number' then return true end
  end
  return false
end

-- Checks that a lock is free or has lapsed, and takes it; its value is the second in which it lapses.
local function take_lock(lock, timeout, now)
  local seconds = math.floor(now / 1000)
  local value = redis.pcall('GET', lock)
  if failed(value) then return false end
  -- A running job's lock has its owner behind the number.
  local lapses = value and tonumber(string.match(value, '^%s*[+-]?%d+'))
  if lapses and seconds <= lapses then return false end
  redis.call('SET', lock, whole(seconds + timeout + 1), 'EX', timeout)
  return true
end

local function release(held)
  for _, lock in ipairs(held) do redis.call('DEL', lock) end
end

-- Takes what `count` guards ask for, all or nothing; without locks if the job does not go to a queue yet.
-- Returns the locks taken (or false), the next argument and the next key.
local function take(count, arg, key, now, prefix, without_locks)
  local held, free = {}, true
  for _ = 1, count do
    if free and ARGV[arg] == 'L' then
      free = without_locks or take_lock(KEYS[key], tonumber(ARGV[arg + 1]), now)
      if free and not without_locks then held[#held + 1] = KEYS[key] end
    elseif free then
      free = not delayed(KEYS[key], ARGV[arg + 1], prefix)
    end
    arg, key = arg + 2, key + 1
  end
  if not free then
    release(held)
    return false, arg, key
  end
  return held, arg, key
end
