-- Whether a text is really delayed: the index may name moments whose lists do not hold it any more.
local function delayed(index, form, prefix)
  local members = redis.pcall('SMEMBERS', index)
  if failed(members) then return false end
  for _, member in ipairs(members) do
    if is_delayed_to(member, index, form, prefix) then return true end
  end
  return false
end

-- Whether a lock does not exist, has expired or is a dead process's; its value is the second in which it expires.
local function is_free(lock, now, prefix)
  local value = redis.pcall('GET', lock)
  if failed(value) then return false end
  -- A running job's lock has its owner behind the number.
  local lapses = value and tonumber(string.match(value, '^%s*[+-]?%d+'))
  return not lapses or math.floor(now / 1000) > lapses or owner_is_dead(prefix .. 'taskhero:processes', value)
end

local function release(held)
  for _, lock in ipairs(held) do redis.call('DEL', lock) end
end

-- Takes what `count` guards ask for, all or nothing. `mode` is nil, 'later' (the job does not go to a queue yet, so it takes no
-- lock) or 'over' (locks are taken over, but for shared ones).
-- `moving` is the delayed text that is on its way, as in _spellings.lua.
-- Returns the locks taken (or false), the next argument, the next key, and the kind of the guard that does not hold ('D'
-- for one that looks for delayed texts).
local function take(count, arg, key, now, prefix, mode, moving)
  local next_arg, next_key, held = arg + 2 * count, key + count, {}
  for i = 0, count - 1 do
    local kind, lock = ARGV[arg + 2 * i], KEYS[key + i]
    local holds
    if kind == 'D' then
      holds = not delayed(lock, ARGV[arg + 2 * i + 1], prefix)
    elseif kind == 'M' then
      kind, holds = 'D', not any_spelled(lock, prefix, moving)
    else
      holds = mode == 'later' or (mode == 'over' and kind == 'L') or is_free(lock, now, prefix)
    end
    if not holds then return false, next_arg, next_key, kind end
  end
  for i = 0, count - 1 do
    local kind = ARGV[arg + 2 * i]
    if kind ~= 'D' and kind ~= 'M' and mode ~= 'later' then
      local timeout, lock = tonumber(ARGV[arg + 2 * i + 1]), KEYS[key + i]
      redis.call('SET', lock, int(math.floor(now / 1000) + timeout + 1), 'EX', timeout)
      held[#held + 1] = lock
    end
  end
  return held, next_arg, next_key
end
