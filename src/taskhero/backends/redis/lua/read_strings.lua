-- Return the strings under keys.
--
-- Reads several keys.
-- Returns for each its string, false, or a table with the type of another kind of value.
--!include arguments
--!include common
--!include reading
local read = read_keys()
expect_end()
local results = {}
for i, key in ipairs(read) do results[i] = string_at(key) end
return results
