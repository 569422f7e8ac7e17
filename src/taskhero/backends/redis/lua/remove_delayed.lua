-- Removes all copies of texts from their moments: from the list, from the index, and the moment if it has no more.
--
-- KEYS[1] sorted set of moments; then for each text: list of its moment, set of its moments
-- ARGV    for each text: moment, text
-- Returns for each text how many copies there were.
--!include common
local results = {}
for i = 1, #ARGV, 2 do
  local bucket, index = KEYS[i + 1], KEYS[i + 2]
  local removed = redis.pcall('LREM', bucket, 0, ARGV[i + 1])
  if failed(removed) then
    removed = 0
  else
    -- Also where nothing was removed: what is named there is not delayed to it.
    redis.pcall('SREM', index, 'delayed:' .. ARGV[i])
    if redis.call('EXISTS', bucket) == 0 then redis.pcall('ZREM', KEYS[1], ARGV[i]) end
  end
  results[#results + 1] = removed
end
return results
