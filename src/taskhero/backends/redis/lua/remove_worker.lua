-- Deregister a worker and delete all its keys. Its job moves to the failed list first.
--
-- KEYS[1] workers, KEYS[2] workers of taskhero, KEYS[3] heartbeats (Ruby), KEYS[4] processes, KEYS[5] foreign
-- heartbeats
-- KEYS[6] failed list, KEYS[7] counter of failed jobs, KEYS[8] worker key, KEYS[9] start time, KEYS[10] ping,
-- KEYS[11] to KEYS[14] its counters, by name and by id
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace, ARGV[3] id, ARGV[4] '1' if the worker key had a value,
-- ARGV[5] that value, ARGV[6] failure or '', ARGV[7] minimum heartbeat age in ms or '', ARGV[8] '1' if another program's
-- worker must not have changed
-- Returns 'removed', 'changed', 'alive', 'unknown' or 'wrong_type'.
--!include common
--!include worker_identity
allow_oom(KEYS[4])
local now, prefix, id = now_ms(ARGV[1]), ARGV[2], ARGV[3]

local value = redis.pcall('GET', KEYS[8])
local known = redis.pcall('SISMEMBER', KEYS[1], id) == 1 or redis.pcall('SISMEMBER', KEYS[2], id) == 1
if not known and not value then return 'unknown' end
if type(value) ~= 'string' then value = false end
if (ARGV[4] == '1') ~= (value and true or false) or value and value ~= ARGV[5] then return 'changed' end

if ARGV[7] ~= '' or ARGV[8] == '1' then
  local process, since, changed = process_of(id), nil, false
  if process then
    since = lease_of(KEYS[4], process)
  else
    since, changed = heartbeat_since(KEYS[5], id, heartbeat_fingerprint(prefix, id, KEYS[3]))
  end
  if changed and ARGV[8] == '1' then return 'alive' end
  if not since or now - since < (tonumber(ARGV[7]) or 0) then return 'alive' end
end

if value and ARGV[6] ~= '' then
  if failed(redis.pcall('RPUSH', KEYS[6], ARGV[6])) then return 'wrong_type' end
  redis.pcall('INCR', KEYS[7])
end
redis.pcall('SREM', KEYS[1], id)
redis.pcall('SREM', KEYS[2], id)
redis.pcall('HDEL', KEYS[3], id)
redis.pcall('HDEL', KEYS[5], id)
redis.call('DEL', unpack(KEYS, 8))
return 'removed'
