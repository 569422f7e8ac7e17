-- Tells who holds a lease.
--
-- KEYS[1] lease; ARGV[1] now in ms or ''
-- Returns the owner, or false.
--!include common
local now = now_ms(ARGV[1])
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' then return false end
local until_ms, owner = string.match(value, '^(%d+) (.*)$')
return owner and tonumber(until_ms) > now and owner
