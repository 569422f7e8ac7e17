-- Return leases. If a length is given, first give a lease to each process that has none.
--
-- Reads keys processes, renewals, lengths of leases, workers, workers of taskhero; now, optional number of the last
-- renewal that the caller has read, optional length in ms of the leases of unknown processes.
-- Returns the number of the last renewal, then the leases.
--!include arguments
--!include common
--!include leases
--!include worker_identity
local processes, renewals, lengths, workers, own_workers =
  read_key(), read_key(), read_key(), read_key(), read_key()
local now, seen_renewal, length = read_now(), read_optional(), read_optional()
expect_end()
if length then
  local seen, unknown = {}, {}
  local function check_lease(process)
    if not process or seen[process] then return end
    seen[process] = true
    if not redis.call('ZSCORE', processes, process) or not redis.call('ZSCORE', renewals, process) then
      unknown[#unknown + 1] = process
    end
  end
  -- Each set has all of them, unless it was deleted or has a wrong type.
  for _, key in ipairs({ workers, own_workers }) do
    local ids = redis.pcall('SMEMBERS', key)
    for _, id in ipairs(failed(ids) and {} or ids) do check_lease(process_of(id)) end
  end
  for _, process in ipairs(redis.call('ZRANGE', processes, 0, -1)) do check_lease(process) end
  if #unknown > 0 then allow_oom(processes) end
  for _, process in ipairs(unknown) do renew(processes, renewals, lengths, process, now, tonumber(length)) end
end
local last = redis.call('ZREVRANGE', renewals, 0, 0, 'WITHSCORES')
return {
  int(math.max(tonumber(redis.call('HGET', lengths, '') or '') or 0, tonumber(last[2] or '') or 0)),
  leases_until(renewals, lengths, seen_renewal or '+inf')
}
