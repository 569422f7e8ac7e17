-- Return the owner of a lease, or false.
--
-- Reads key lease; now.
--!include arguments
--!include common
local lease, now = read_key(), read_now()
expect_end()
local value = redis.pcall('GET', lease)
if type(value) ~= 'string' then return false end
local ends_at, owner = string.match(value, '^(%d+) (.*)$')
return owner and tonumber(ends_at) > now and owner
