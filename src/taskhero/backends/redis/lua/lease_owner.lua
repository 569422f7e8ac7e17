-- Return the owner of a lease, or false.
--
-- KEYS[1] lease; ARGV[1] now in ms or ''
--!include common
local now = now_ms(ARGV[1])
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' then return false end
local ends_at, owner = string.match(value, '^(%d+) (.*)$')
return owner and tonumber(ends_at) > now and owner
