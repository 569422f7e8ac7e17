-- Return why nothing can be delayed to a second, or nil.
local function not_delayable(at, schedule, prefix)
  return failed(redis.pcall('ZCARD', schedule)) or not_a_list(prefix .. 'delayed:' .. int(at))
end

-- Delay a payload to a second. Return nil, or the text of an error if nothing was written.
local function delay_to(at, payload, schedule, wake, prefix)
  local name = int(at)
  local bucket = prefix .. 'delayed:' .. name
  local problem = not_delayable(at, schedule, prefix) or failed(redis.pcall('RPUSH', bucket, payload))
  if problem then return problem end
  local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  redis.pcall('SADD', prefix .. 'timestamps:' .. payload, 'delayed:' .. name)
  redis.call('ZADD', schedule, name, name)
  if not first[2] or at < tonumber(first[2]) then signal(wake) end
end
