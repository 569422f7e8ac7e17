-- Return the second of the run that follows, by the frequency in ms, a run that ended now.
local function next_due_time(now, frequency)
  return math.max(math.floor((now + frequency + 500) / 1000), math.floor(now / 1000) + 1)
end

-- Keep the state of periodic tasks for another year.
local function touch_ttl(key) redis.call('EXPIRE', key, 31622400) end
