-- Deregister workers. A job that a worker still holds returns to the front of its queue, unchanged.
--
-- Reads keys processes, workers, heartbeats, queues, wake list for new queues, workers of taskhero, renewals, lengths
-- of leases; text process, optional number of its renewal (act only if that is the last one), flag to end the lease,
-- number of workers; for each worker, last claim first: keys worker key, start time, ping, its two counters; text id,
-- optional value read under the worker key, flag whether it holds a job; if so text payload, queue, keys list and wake
-- list of the queue.
-- Returns the number of jobs released, then position and error in turn of the workers whose queue cannot take the job.
-- These workers stay registered, and a process that ends its lease is declared dead.
-- Returns -1 if the process renewed its lease, -2 if a claim changed. Then nothing was done.
--!include arguments
--!include common
--!include leases
local processes, workers, heartbeats, queues, wake_new = read_key(), read_key(), read_key(), read_key(), read_key()
local own_workers, renewals, lengths = read_key(), read_key(), read_key()
local process, renewal, ends_lease = read_text(), read_optional(), read_flag()
local slots = {}
for i = 1, read_number() do
  local slot = { worker = read_key() }
  slot.others = { read_key(), read_key(), read_key(), read_key() }
  slot.id, slot.value, slot.holds_job = read_text(), read_text(), read_flag()
  if slot.holds_job then
    slot.payload, slot.queue, slot.list, slot.wake = read_text(), read_text(), read_key(), read_key()
  end
  slots[i] = slot
end
expect_end()
allow_oom(processes)
if renewal and not is_unchanged(renewals, process, renewal) then return { -1 } end
for _, slot in ipairs(slots) do
  local value = redis.pcall('GET', slot.worker)
  if (type(value) == 'string' and value or '') ~= slot.value then return { -2 } end
end
local results = { 0 }
for i, slot in ipairs(slots) do
  local problem = slot.holds_job and failed(redis.pcall('LPUSH', slot.list, slot.payload))
  if problem then
    results[#results + 1] = i
    results[#results + 1] = problem
  else
    if slot.holds_job then
      notify_enqueued(queues, slot.queue, slot.wake, wake_new)
      results[1] = results[1] + 1
    end
    redis.pcall('SREM', workers, slot.id)
    redis.pcall('SREM', own_workers, slot.id)
    redis.pcall('HDEL', heartbeats, slot.id)
    redis.call('DEL', slot.worker, unpack(slot.others))
  end
end
if ends_lease then
  if #results == 1 then
    end_lease(processes, renewals, lengths, process)
  else
    declare_dead(processes, process)
  end
end
return results
