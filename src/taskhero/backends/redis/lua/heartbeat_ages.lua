-- Return the heartbeat age of each worker, and record the heartbeats of other programs' workers.
--
-- Reads keys workers, heartbeats (Ruby), processes, foreign heartbeats: id to '<ms> <fingerprint>'; now, prefix, number
-- lifetime of the records in seconds.
-- Returns id, age in ms, and 1 if the worker's data was seen to change, in turn.
--!include arguments
--!include common
--!include reading
--!include worker_identity
local workers, heartbeats, processes, foreign = read_key(), read_key(), read_key(), read_key()
local now, prefix, lifetime = read_now(), read_text(), read_number()
expect_end()
allow_oom(processes)
if failed(redis.pcall('HLEN', foreign)) then redis.call('DEL', foreign) end
local results, present = {}, {}
for _, id in ipairs(members_of(workers)) do
  local process = process_of(id)
  local age
  local changed = false
  if process then
    local lease = lease_of(processes, process)
    age = lease and math.max(0, now - lease)
  else
    local fingerprint = heartbeat_fingerprint(prefix, id, heartbeats)
    local since
    since, changed = heartbeat_since(foreign, id, fingerprint)
    if not since then
      since = now
      redis.call('HSET', foreign, id, int(now) .. (changed and '+ ' or ' ') .. fingerprint)
    end
    present[id] = true
    age = math.max(0, now - since)
  end
  if age then
    results[#results + 1] = id
    results[#results + 1] = int(age)
    results[#results + 1] = changed and 1 or 0
  end
end
for _, id in ipairs(redis.call('HKEYS', foreign)) do
  if not present[id] then redis.call('HDEL', foreign, id) end
end
redis.call('EXPIRE', foreign, lifetime)
return results
