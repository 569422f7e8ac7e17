-- Remove entries from a queue. If a payload has no entry left, release its locks in the same step.
--
-- KEYS[1] list; then for each removal the locks that it releases
-- ARGV    for each removal: payload, count (0 all, positive from the front, negative from the end), number of locks
-- Returns for each removal the number of entries removed.
local results, key = {}, 2
for arg = 1, #ARGV, 3 do
  local payload, locks = ARGV[arg], tonumber(ARGV[arg + 2])
  local removed = redis.call('LREM', KEYS[1], ARGV[arg + 1], payload)
  if locks > 0 and removed > 0 and not redis.call('LPOS', KEYS[1], payload) then
    redis.call('DEL', unpack(KEYS, key, key + locks - 1))
  end
  results[#results + 1] = removed
  key = key + locks
end
return results
