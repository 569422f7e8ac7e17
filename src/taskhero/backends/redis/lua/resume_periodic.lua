-- Lets periodic tasks go on that are stopped.
--
-- KEYS[1] processes, KEYS[2] why tasks are stopped; ARGV[1] '1' for those only that a failure stopped; then their names
-- Returns how many were stopped.
--!include common
allow_oom(KEYS[1])
local resumed = 0
for i = 2, #ARGV do
  local why = redis.call('HGET', KEYS[2], ARGV[i])
  if why and (ARGV[1] ~= '1' or why == 'failed') then
    redis.call('HDEL', KEYS[2], ARGV[i])
    resumed = resumed + 1
  end
end
return resumed
