-- Prepare claimed jobs for their runs: release their queue locks and acquire their job locks.
--
-- Reads key processes; now, text process, number of jobs; for each key worker key, texts token of its claim, worker
-- name, several keys queue locks to release, number of job locks to hold; for each key, number timeout in ms; then flag
-- whether attempts are counted; if so key counter of attempts.
-- Returns for each job: 1, or 0 if the process does not hold the claim (nothing was done); the position of a lock that
-- another owner holds (0 for none); the value of the counter, or false.
--!include arguments
--!include common
--!include leases
--!include owners
--!include job_locks
local processes, now, process = read_key(), read_now(), read_text()
allow_oom(processes)
local alive = is_alive(processes, process)
local results = {}

-- Acquire locks for their timeouts, all or none. Return the position of one that another owner holds, or 0.
local function acquire_all(locks, timeouts, owner)
  for i, lock in ipairs(locks) do
    local other = lock_owner(lock, now, processes)
    if other and other ~= owner then return i end
  end
  for i, lock in ipairs(locks) do hold_lock(lock, owner, now, timeouts[i]) end
  return 0
end

for _ = 1, read_number() do
  local worker, token, name, queue_locks = read_key(), read_text(), read_text(), read_keys()
  local job_locks, timeouts = {}, {}
  for i = 1, read_number() do job_locks[i], timeouts[i] = read_key(), read_number() end
  local counter = read_flag() and read_key()
  local is_current, blocked_by, count = 0, 0, false
  if alive and claim_is_current(worker, token) then
    is_current = 1
    if #queue_locks > 0 then redis.call('DEL', unpack(queue_locks)) end
    blocked_by = acquire_all(job_locks, timeouts, name .. '/' .. token)
    if counter then count = redis.pcall('GET', counter) end
    if failed(count) then count = false end
  end
  results[#results + 1] = is_current
  results[#results + 1] = blocked_by
  results[#results + 1] = count
end
expect_end()
return results
