-- Deregister workers. A job that a worker still holds returns to the front of its queue, unchanged.
--
-- KEYS[1] processes, KEYS[2] workers, KEYS[3] heartbeats, KEYS[4] queues, KEYS[5] wake list for new queues
-- KEYS[6] workers of taskhero, KEYS[7] renewals, KEYS[8] lengths of leases
-- KEYS[9+] for each worker, last claim first: worker key, start time, ping, its two counters; list and wake list of the
-- held job's queue
-- ARGV[1] process, ARGV[2] number of its renewal (act only if that is the last one) or '', ARGV[3] '1' to end the lease
-- ARGV[4+] for each worker: id, the value read under it or '', the payload of its job, its queue
-- Returns the number of jobs released, then position and error in turn of the workers whose queue cannot take the job.
-- These workers stay registered, and a process that ends its lease is declared dead.
-- Returns -1 if the process renewed its lease, -2 if a claim changed. Then nothing was done.
--!include common
--!include leases
allow_oom(KEYS[1])
local process = ARGV[1]
if ARGV[2] ~= '' and not is_unchanged(KEYS[7], process, ARGV[2]) then return { -1 } end
local workers = (#ARGV - 3) / 4
for i = 0, workers - 1 do
  local value = redis.pcall('GET', KEYS[9 + 7 * i])
  if type(value) ~= 'string' then value = '' end
  if value ~= ARGV[4 + 4 * i + 1] then return { -2 } end
end
local results = { 0 }
for i = 0, workers - 1 do
  local arg, key = 4 + 4 * i, 9 + 7 * i
  local id, payload, queue = ARGV[arg], ARGV[arg + 2], ARGV[arg + 3]
  local problem = queue ~= '' and failed(redis.pcall('LPUSH', KEYS[key + 5], payload))
  if problem then
    results[#results + 1] = i + 1
    results[#results + 1] = problem
  else
    if queue ~= '' then
      notify_enqueued(KEYS[4], queue, KEYS[key + 6], KEYS[5])
      results[1] = results[1] + 1
    end
    redis.pcall('SREM', KEYS[2], id)
    redis.pcall('SREM', KEYS[6], id)
    redis.pcall('HDEL', KEYS[3], id)
    redis.call('DEL', KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4])
  end
end
if ARGV[3] == '1' then
  if #results == 1 then
    end_lease(KEYS[1], KEYS[7], KEYS[8], process)
  else
    declare_dead(KEYS[1], process)
  end
end
return results
