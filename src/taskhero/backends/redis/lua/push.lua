-- Store jobs in their queues, in one atomic step for all of them.
--
-- Reads keys queues, wake list of processes that wait for new queues; now, prefix, number of queues; for each text
-- name, keys list, wake list; number of groups; for each number the position of its queue, flag whether the jobs are
-- plain; plain jobs, which are appended without guards: texts payloads; one other job: flag front, text payload,
-- guards.
-- Returns for each job 1 (stored), 0 (a guard did not hold) or the text of an error.
--!include arguments
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
local known_queues, wake_new = read_key(), read_key()
local now, prefix = read_now(), read_text()
local queues, results = {}, {}
for q = 1, read_number() do queues[q] = { name = read_text(), list = read_key(), wake = read_key() } end

local function append_all(queue, payloads)
  local problem = failed(redis.pcall('RPUSH', queue.list, unpack(payloads)))
  if not problem then notify_enqueued(known_queues, queue.name, queue.wake, wake_new) end
  for _ = 1, #payloads do results[#results + 1] = problem or 1 end
end

local function push_guarded(queue, front, payload, guards)
  local held = acquire_guards(guards, now, prefix)
  if not held then return 0 end
  local problem = failed(redis.pcall(front and 'LPUSH' or 'RPUSH', queue.list, payload))
  if problem then
    release_locks(held)
    return problem
  end
  notify_enqueued(known_queues, queue.name, queue.wake, wake_new)
  return 1
end

for _ = 1, read_number() do
  local queue, is_plain = queues[read_number()], read_flag()
  if is_plain then
    append_all(queue, read_texts())
  else
    local front, payload = read_flag(), read_text()
    results[#results + 1] = push_guarded(queue, front, payload, read_guards())
  end
end
expect_end()
return results
