-- Remove all copies of payloads from due times: from the list, from the index, and the due time if its list is empty.
--
-- Reads key schedule; number of payloads; for each keys list of its due time, set of its due times, texts due time,
-- payload.
-- Returns for each payload the number of copies removed.
--!include arguments
--!include common
local schedule, results = read_key(), {}
for i = 1, read_number() do
  local bucket, index, due_time, payload = read_key(), read_key(), read_text(), read_text()
  local removed = redis.pcall('LREM', bucket, 0, payload)
  if failed(removed) then
    removed = 0
  else
    -- Also if nothing was removed: then the index is stale.
    redis.pcall('SREM', index, 'delayed:' .. due_time)
    if redis.call('EXISTS', bucket) == 0 then redis.pcall('ZREM', schedule, due_time) end
  end
  results[i] = removed
end
expect_end()
return results
