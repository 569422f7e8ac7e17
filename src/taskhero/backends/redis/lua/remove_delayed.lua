-- Remove all copies of payloads from due times: from the list, from the index, and the due time if its list is empty.
--
-- KEYS[1] schedule (sorted set of due times); then for each payload: list of its due time, set of its due times
-- ARGV    for each payload: due time, payload
-- Returns for each payload the number of copies removed.
--!include common
local results = {}
for i = 1, #ARGV, 2 do
  local bucket, index = KEYS[i + 1], KEYS[i + 2]
  local removed = redis.pcall('LREM', bucket, 0, ARGV[i + 1])
  if failed(removed) then
    removed = 0
  else
    -- Also if nothing was removed: then the index is stale.
    redis.pcall('SREM', index, 'delayed:' .. ARGV[i])
    if redis.call('EXISTS', bucket) == 0 then redis.pcall('ZREM', KEYS[1], ARGV[i]) end
  end
  results[#results + 1] = removed
end
return results
