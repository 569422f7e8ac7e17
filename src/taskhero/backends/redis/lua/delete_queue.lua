-- Delete a queue and all its jobs.
--
-- KEYS[1] queues, KEYS[2] list, KEYS[3] wake list
-- ARGV[1] name, ARGV[2] '1' to delete it only if it is empty
-- Returns the number of jobs it held.
local length = redis.pcall('LLEN', KEYS[2])
if ARGV[2] == '1' and length ~= 0 then return 0 end
if type(length) ~= 'number' then length = 0 end
redis.call('DEL', KEYS[2], KEYS[3])
redis.pcall('SREM', KEYS[1], ARGV[1])
return length
