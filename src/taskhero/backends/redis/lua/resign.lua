-- Ends a lease, if this owner holds it.
--
-- KEYS[1] lease; ARGV[1] owner; ARGV[2] '1' to tell one who is_waiting (KEYS[2]) that the lease is free
-- Returns 1, or 0 if another one holds it.
--!include common
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' then return 0 end
if string.match(value, '^%d+ (.*)$') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] == '1' then signal(KEYS[2]) end
return 1
