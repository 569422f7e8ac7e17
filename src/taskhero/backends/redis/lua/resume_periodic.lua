-- Resume stopped periodic tasks.
--
-- Reads keys processes, why tasks are stopped; flag to resume only tasks that a failure stopped, texts names.
-- Returns the number of tasks resumed.
--!include arguments
--!include common
local processes, stopped, only_failed, names = read_key(), read_key(), read_flag(), read_texts()
expect_end()
allow_oom(processes)
local resumed = 0
for _, name in ipairs(names) do
  local reason = redis.call('HGET', stopped, name)
  if reason and (not only_failed or reason == 'failed') then
    redis.call('HDEL', stopped, name)
    resumed = resumed + 1
  end
end
return resumed
