-- Reads texts; KEYS are their keys.
-- Returns for each its text, false, or a table with the type of what is no text.
--!include common
--!include reading
local results = {}
for i, key in ipairs(KEYS) do results[i] = string_at(key) end
return results
