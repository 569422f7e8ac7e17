-- Return whether the value of a lock names a process of taskhero that has no lease or was declared dead.
local function owner_is_dead(processes, value)
  local process = string.match(value, '^%d+:(.*)%+%d+/')
  if not process then return false end
  local lease = redis.call('ZSCORE', processes, process)
  return not lease or tonumber(lease) <= 0
end
