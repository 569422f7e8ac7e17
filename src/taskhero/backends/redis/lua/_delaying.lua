-- Why nothing can be delayed to a second, or nil.
local function not_delayable(at, schedule, prefix)
  return failed(redis.pcall('ZCARD', schedule)) or not_a_list(prefix .. 'delayed:' .. int(at))
end

-- Delays a text to a second; returns an error's text if that cannot be done, and then nothing is written.
local function delay_to(at, raw, schedule, wake, prefix)
  local name = int(at)
  local problem = not_delayable(at, schedule, prefix) or failed(redis.pcall('RPUSH', prefix .. 'delayed:' .. name, raw))
  if problem then return problem end
  local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  redis.pcall('SADD', prefix .. 'timestamps:' .. raw, 'delayed:' .. name)
  redis.call('ZADD', schedule, name, name)
  if not first[2] or at < tonumber(first[2]) then signal(wake) end
end
