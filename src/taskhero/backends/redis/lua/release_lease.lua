-- End a lease, if this owner holds it.
--
-- KEYS[1] lease; ARGV[1] owner; ARGV[2] '1' to wake one process that waits for it (KEYS[2])
-- Returns 1, or 0 if another owner holds it.
--!include common
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' then return 0 end
if string.match(value, '^%d+ (.*)$') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] == '1' then signal(KEYS[2]) end
return 1
