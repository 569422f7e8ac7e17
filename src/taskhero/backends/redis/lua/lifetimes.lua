-- Return the lifetimes of keys.
--
-- Reads several keys.
-- Returns for each its lifetime in ms, -1 if it has none, -2 if it does not exist.
--!include arguments
local read = read_keys()
expect_end()
local results = {}
for i, key in ipairs(read) do results[i] = redis.call('PTTL', key) end
return results
