-- Deregister a worker and delete all its keys. Its job moves to the failed list first.
--
-- Reads keys workers, workers of taskhero, heartbeats (Ruby), processes, foreign heartbeats, failed list, counter of
-- failed jobs, worker key, several other keys of the worker; now, prefix, text id, flag whether the worker key had a
-- value, texts that value, failure or '', optional minimum heartbeat age in ms, flag whether another program's worker
-- must not have changed.
-- Returns 'removed', 'changed', 'alive', 'unknown' or 'wrong_type'.
--!include arguments
--!include common
--!include worker_identity
local workers, own_workers, heartbeats, processes, foreign = read_key(), read_key(), read_key(), read_key(), read_key()
local failures, failed_count, worker, others = read_key(), read_key(), read_key(), read_keys()
local now, prefix, id, had_value, seen = read_now(), read_text(), read_text(), read_flag(), read_text()
local failure, minimum_age, unchanged = read_text(), read_optional(), read_flag()
expect_end()
allow_oom(processes)

local value = redis.pcall('GET', worker)
local known = redis.pcall('SISMEMBER', workers, id) == 1 or redis.pcall('SISMEMBER', own_workers, id) == 1
if not known and not value then return 'unknown' end
if type(value) ~= 'string' then value = false end
if had_value ~= (value and true or false) or value and value ~= seen then return 'changed' end

if minimum_age or unchanged then
  local process, since, changed = process_of(id), nil, false
  if process then
    since = lease_of(processes, process)
  else
    since, changed = heartbeat_since(foreign, id, heartbeat_fingerprint(prefix, id, heartbeats))
  end
  if changed and unchanged then return 'alive' end
  if not since or now - since < (tonumber(minimum_age) or 0) then return 'alive' end
end

if value and failure ~= '' then
  if failed(redis.pcall('RPUSH', failures, failure)) then return 'wrong_type' end
  redis.pcall('INCR', failed_count)
end
redis.pcall('SREM', workers, id)
redis.pcall('SREM', own_workers, id)
redis.pcall('HDEL', heartbeats, id)
redis.pcall('HDEL', foreign, id)
redis.call('DEL', worker, unpack(others))
return 'removed'
