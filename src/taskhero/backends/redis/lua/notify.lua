-- Push a wake-up for each queue that holds jobs.
--
-- Reads number of queues; for each keys list, wake list.
--!include arguments
--!include common
for i = 1, read_number() do
  local list, wake = read_key(), read_key()
  if i == 1 then allow_oom(list) end
  local length = redis.pcall('LLEN', list)
  if type(length) == 'number' and length > 0 then signal(wake) end
end
expect_end()
return 1
