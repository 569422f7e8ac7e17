-- Return the strings under keys.
--
-- KEYS are the keys
-- Returns for each its string, false, or a table with the type of another kind of value.
--!include common
--!include reading
local results = {}
for i, key in ipairs(KEYS) do results[i] = string_at(key) end
return results
