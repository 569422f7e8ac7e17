-- Return the lifetime of keys.
--
-- KEYS are the keys
-- Returns for each its lifetime in ms, -1 if it has none, -2 if it does not exist.
local results = {}
for i, key in ipairs(KEYS) do results[i] = redis.call('PTTL', key) end
return results
