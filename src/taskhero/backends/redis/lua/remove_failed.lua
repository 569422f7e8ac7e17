-- Remove entries of failed lists by their exact texts, of equal ones the youngest.
--
-- KEYS for each entry its list; ARGV for each its text
-- Returns for each 1, or 0 if there was none.
--!include common
local results = {}
for i, list in ipairs(KEYS) do
  local removed = redis.pcall('LREM', list, -1, ARGV[i])
  results[i] = failed(removed) and 0 or removed
end
return results
