-- Reads texts; KEYS are their keys.
-- Returns for each its text, false, or a table with the type of what is no text.
--!include common
--!include looking
local results = {}
for i, key in ipairs(KEYS) do results[i] = text_of(key) end
return results
