-- Return the heartbeat age of each worker, and record the heartbeats of other programs' workers.
--
-- KEYS[1] workers, KEYS[2] heartbeats (Ruby), KEYS[3] processes, KEYS[4] foreign heartbeats
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (the set names the workers' keys), ARGV[3] lifetime of the
-- records in seconds
-- Returns id, age in ms, and 1 if the worker's data was seen to change, in turn.
--!include common
--!include reading
--!include worker_identity
allow_oom(KEYS[3])
local now, prefix = now_ms(ARGV[1]), ARGV[2]
if failed(redis.pcall('HLEN', KEYS[4])) then redis.call('DEL', KEYS[4]) end
local results, present = {}, {}
for _, id in ipairs(members_of(KEYS[1])) do
  local process = process_of(id)
  local age
  local changed = false
  if process then
    local lease = lease_of(KEYS[3], process)
    age = lease and math.max(0, now - lease)
  else
    local fingerprint = heartbeat_fingerprint(prefix, id, KEYS[2])
    local since
    since, changed = heartbeat_since(KEYS[4], id, fingerprint)
    if not since then
      since = now
      redis.call('HSET', KEYS[4], id, int(now) .. (changed and '+ ' or ' ') .. fingerprint)
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
for _, id in ipairs(redis.call('HKEYS', KEYS[4])) do
  if not present[id] then redis.call('HDEL', KEYS[4], id) end
end
redis.call('EXPIRE', KEYS[4], ARGV[3])
return results
