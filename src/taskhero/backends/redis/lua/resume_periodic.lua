-- Resume stopped periodic tasks.
--
-- KEYS[1] processes, KEYS[2] why tasks are stopped; ARGV[1] '1' to resume only tasks that a failure stopped; then their
-- names
-- Returns the number of tasks resumed.
--!include common
allow_oom(KEYS[1])
local resumed = 0
for i = 2, #ARGV do
  local reason = redis.call('HGET', KEYS[2], ARGV[i])
  if reason and (ARGV[1] ~= '1' or reason == 'failed') then
    redis.call('HDEL', KEYS[2], ARGV[i])
    resumed = resumed + 1
  end
end
return resumed
