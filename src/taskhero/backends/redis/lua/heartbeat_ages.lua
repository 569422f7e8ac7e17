-- Tells for how long each worker has given no sign of life, and notes the signs of other programs' workers.
--
-- KEYS[1] workers, KEYS[2] heartbeats (Ruby), KEYS[3] processes, KEYS[4] signs: id to '<ms> <sign>'
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (workers' keys are named by the set), ARGV[3] seconds that notes
-- live
-- Returns id and ms in turn.
--!include common
--!include reading
--!include heartbeats
allow_oom(KEYS[3])
local now, prefix = now_ms(ARGV[1]), ARGV[2]
if failed(redis.pcall('HLEN', KEYS[4])) then redis.call('DEL', KEYS[4]) end
local results, present = {}, {}
for _, id in ipairs(members_of(KEYS[1])) do
  local process = process_of(id)
  local silent
  if process then
    local lease = lease_of(KEYS[3], process)
    silent = lease and math.max(0, now - lease)
  else
    local sign = heartbeat_fingerprint(prefix, id, KEYS[2])
    local since = heartbeat_since(KEYS[4], id, sign)
    if not since then
      since = now
      redis.call('HSET', KEYS[4], id, int(now) .. ' ' .. sign)
    end
    present[id] = true
    silent = math.max(0, now - since)
  end
  if silent then
    results[#results + 1] = id
    results[#results + 1] = int(silent)
  end
end
for _, id in ipairs(redis.call('HKEYS', KEYS[4])) do
  if not present[id] then redis.call('HDEL', KEYS[4], id) end
end
redis.call('EXPIRE', KEYS[4], ARGV[3])
return results
