-- Move jobs of a process whose lease has expired to the fronts of their queues, each only if its claim has not changed.
--
-- The process is declared dead first: until it renews its lease, it cannot claim and its locks count as free.
--
-- KEYS[1] processes, KEYS[2] queues, KEYS[3] wake list for new queues, KEYS[4] renewals; then for each job: worker key,
-- queue, wake list
-- ARGV[1] process, ARGV[2] number of its renewal; then for each job: the value read, queue, payload to store
-- Returns for each job 1 (rescued), 0 (its claim has changed), or why its queue cannot take it.
--!include common
--!include leases
allow_oom(KEYS[1])
local process = ARGV[1]
local is_expired = is_unchanged(KEYS[4], process, ARGV[2])
if is_expired then declare_dead(KEYS[1], process) end
local results = {}
local key = 5
for arg = 3, #ARGV, 3 do
  local seen, queue, payload = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
  local worker, list, wake = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local result = 0
  if is_expired and redis.pcall('GET', worker) == seen then
    result = failed(redis.pcall('LPUSH', list, payload)) or 1
    if result == 1 then
      redis.call('DEL', worker)
      notify_enqueued(KEYS[2], queue, wake, KEYS[3])
    end
  end
  results[#results + 1] = result
  key = key + 3
end
return results
