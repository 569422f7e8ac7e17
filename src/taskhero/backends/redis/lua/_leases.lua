-- Leases. `processes`: when each lease ends by the server's clock, in ms, negative if the process was declared dead.
-- `renewals`: a number that grows with each renewal of any process. `lengths`: the length of each lease in ms, and
-- under the empty name the last renewal number.

-- Return whether a process has a lease and was not declared dead. This does not depend on a clock.
local function is_alive(processes, process)
  local lease = redis.call('ZSCORE', processes, process)
  return lease and tonumber(lease) > 0
end

local function renew(processes, renewals, lengths, process, now, length)
  local top = redis.call('ZREVRANGE', renewals, 0, 0, 'WITHSCORES')
  local number = math.max(tonumber(redis.call('HGET', lengths, '') or '') or 0, tonumber(top[2] or '') or 0) + 1
  redis.call('HSET', lengths, '', int(number), process, int(length))
  redis.call('PERSIST', lengths)
  redis.call('ZADD', renewals, int(number), process)
  redis.call('ZADD', processes, int(now + length), process)
  return number
end

-- Return the leases whose last renewal has at most this number, lowest first: name, number and length in ms in turn.
local function leases_until(renewals, lengths, last)
  local found = redis.call('ZRANGEBYSCORE', renewals, '-inf', last, 'WITHSCORES', 'LIMIT', 0, 1000)
  local names, leases = {}, {}
  for i = 1, #found, 2 do names[#names + 1] = found[i] end
  local known = #names > 0 and redis.call('HMGET', lengths, unpack(names)) or {}
  for i, name in ipairs(names) do
    leases[3 * i - 2], leases[3 * i - 1], leases[3 * i] = name, int(tonumber(found[2 * i])), known[i] or '0'
  end
  return leases
end

-- Return whether the last renewal of a process still has this number.
local function is_unchanged(renewals, process, number)
  local last = redis.call('ZSCORE', renewals, process)
  return last and int(tonumber(last)) == number
end

-- Declare a process dead: until it renews its lease, it cannot claim and its locks count as free.
local function declare_dead(processes, process)
  if is_alive(processes, process) then
    redis.call('ZADD', processes, '-' .. redis.call('ZSCORE', processes, process), process)
  end
end

local function end_lease(processes, renewals, lengths, process)
  redis.call('ZREM', processes, process)
  redis.call('ZREM', renewals, process)
  redis.call('HDEL', lengths, process)
  -- The last number is kept for a day, for processes that read leases and have none.
  if redis.call('EXISTS', renewals) == 0 then redis.call('EXPIRE', lengths, 86400) end
end
