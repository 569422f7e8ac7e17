-- Remove entries from a queue. If a payload has no entry left, release its locks in the same step.
--
-- Reads key list; number of removals; for each text payload, number of entries (0 all, positive from the front,
-- negative from the end), several keys of the locks that it releases.
-- Returns for each removal the number of entries removed.
--!include arguments
local list, results = read_key(), {}
for i = 1, read_number() do
  local payload, count, locks = read_text(), read_number(), read_keys()
  local removed = redis.call('LREM', list, count, payload)
  if #locks > 0 and removed > 0 and not redis.call('LPOS', list, payload) then redis.call('DEL', unpack(locks)) end
  results[i] = removed
end
expect_end()
return results
