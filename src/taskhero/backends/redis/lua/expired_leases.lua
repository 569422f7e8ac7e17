-- Return the processes among the given leases that were not renewed, and, if there are any, all workers.
--
-- KEYS[1] renewals, KEYS[2] workers, KEYS[3] workers of taskhero
-- ARGV for each lease: process, number of its renewal
-- Returns the processes of the expired leases, and the ids of workers (some twice).
--!include common
--!include leases
local expired, workers = {}, {}
for arg = 1, #ARGV, 2 do
  if is_unchanged(KEYS[1], ARGV[arg], ARGV[arg + 1]) then expired[#expired + 1] = ARGV[arg] end
end
-- Each set has all of them, unless it was deleted or has a wrong type.
for i = 2, #expired > 0 and 3 or 0 do
  local ids = redis.pcall('SMEMBERS', KEYS[i])
  for _, id in ipairs(failed(ids) and {} or ids) do workers[#workers + 1] = id end
end
return { expired, workers }
