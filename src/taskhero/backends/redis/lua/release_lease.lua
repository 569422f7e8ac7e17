-- End a lease, if this owner holds it.
--
-- Reads key lease; text owner, several keys wake lists of processes that wait for the lease.
-- Returns 1, or 0 if another owner holds it.
--!include arguments
--!include common
local lease, owner, wakes = read_key(), read_text(), read_keys()
expect_end()
local value = redis.pcall('GET', lease)
if type(value) ~= 'string' then return 0 end
if string.match(value, '^%d+ (.*)$') ~= owner then return 0 end
redis.call('DEL', lease)
for _, wake in ipairs(wakes) do signal(wake) end
return 1
