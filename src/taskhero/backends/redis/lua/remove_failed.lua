-- Remove entries of failed lists by their exact texts, of equal ones the youngest.
--
-- Reads number of entries; for each key list, text entry.
-- Returns for each 1, or 0 if there was none.
--!include arguments
--!include common
local results = {}
for i = 1, read_number() do
  local removed = redis.pcall('LREM', read_key(), -1, read_text())
  results[i] = failed(removed) and 0 or removed
end
expect_end()
return results
