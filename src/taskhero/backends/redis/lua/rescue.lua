-- Move jobs of a process whose lease has expired to the fronts of their queues, each only if its claim has not changed.
--
-- The process is declared dead first: until it renews its lease, it cannot claim and its locks count as free.
--
-- Reads keys processes, queues, wake list for new queues, renewals; texts process, number of its renewal, number of
-- jobs; for each keys worker key, queue, wake list, texts the value read, queue, payload to store.
-- Returns for each job 1 (rescued), 0 (its claim has changed), or why its queue cannot take it.
--!include arguments
--!include common
--!include leases
local processes, queues, wake_new, renewals = read_key(), read_key(), read_key(), read_key()
local process, renewal = read_text(), read_text()
allow_oom(processes)
local is_expired = is_unchanged(renewals, process, renewal)
if is_expired then declare_dead(processes, process) end
local results = {}
for i = 1, read_number() do
  local worker, list, wake = read_key(), read_key(), read_key()
  local seen, queue, payload = read_text(), read_text(), read_text()
  local result = 0
  if is_expired and redis.pcall('GET', worker) == seen then
    result = failed(redis.pcall('LPUSH', list, payload)) or 1
    if result == 1 then
      redis.call('DEL', worker)
      notify_enqueued(queues, queue, wake, wake_new)
    end
  end
  results[i] = result
end
expect_end()
return results
