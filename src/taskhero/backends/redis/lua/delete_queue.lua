-- Delete a queue and all its jobs.
--
-- Reads keys queues, list, wake list; text name, flag to delete it only if it is empty.
-- Returns the number of jobs it held.
--!include arguments
local queues, list, wake, name, only_if_empty = read_key(), read_key(), read_key(), read_text(), read_flag()
expect_end()
local length = redis.pcall('LLEN', list)
if only_if_empty and length ~= 0 then return 0 end
if type(length) ~= 'number' then length = 0 end
redis.call('DEL', list, wake)
redis.pcall('SREM', queues, name)
return length
