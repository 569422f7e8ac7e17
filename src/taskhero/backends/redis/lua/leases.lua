-- Return leases. If a length is given, first give a lease to each process that has none.
--
-- KEYS[1] processes, KEYS[2] renewals, KEYS[3] lengths of leases, KEYS[4] workers, KEYS[5] workers of taskhero
-- ARGV[1] now in ms or '', ARGV[2] number of the last renewal that the caller has read or '', ARGV[3] length in ms for
-- unknown processes or ''
-- Returns the number of the last renewal, then the leases.
--!include common
--!include leases
--!include worker_identity
if ARGV[3] ~= '' then
  local now, seen, unknown = now_ms(ARGV[1]), {}, {}
  local function check_lease(process)
    if not process or seen[process] then return end
    seen[process] = true
    if not redis.call('ZSCORE', KEYS[1], process) or not redis.call('ZSCORE', KEYS[2], process) then
      unknown[#unknown + 1] = process
    end
  end
  -- Each set has all of them, unless it was deleted or has a wrong type.
  for i = 4, 5 do
    local ids = redis.pcall('SMEMBERS', KEYS[i])
    for _, id in ipairs(failed(ids) and {} or ids) do check_lease(process_of(id)) end
  end
  for _, process in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do check_lease(process) end
  if #unknown > 0 then allow_oom(KEYS[1]) end
  for _, process in ipairs(unknown) do renew(KEYS[1], KEYS[2], KEYS[3], process, now, tonumber(ARGV[3])) end
end
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {
  int(math.max(tonumber(redis.call('HGET', KEYS[3], '') or '') or 0, tonumber(last[2] or '') or 0)),
  leases_until(KEYS[2], KEYS[3], ARGV[2] ~= '' and ARGV[2] or '+inf')
}
