-- Return the processes among the given leases that were not renewed, and, if there are any, all workers.
--
-- Reads keys renewals, workers, workers of taskhero; texts processes, texts numbers of their renewals.
-- Returns the processes of the expired leases, and the ids of workers (some twice).
--!include arguments
--!include common
--!include leases
local renewals, workers, own_workers, processes, numbers =
  read_key(), read_key(), read_key(), read_texts(), read_texts()
expect_end()
local expired, ids = {}, {}
for i, process in ipairs(processes) do
  if is_unchanged(renewals, process, numbers[i]) then expired[#expired + 1] = process end
end
-- Each set has all of them, unless it was deleted or has a wrong type.
for _, key in ipairs(#expired > 0 and { workers, own_workers } or {}) do
  local members = redis.pcall('SMEMBERS', key)
  for _, id in ipairs(failed(members) and {} or members) do ids[#ids + 1] = id end
end
return { expired, ids }
