-- Prepare claimed jobs for their runs: release their queue locks and acquire their job locks.
--
-- KEYS[1]  processes; then for each job: its worker key, the queue locks to release, the job locks to hold, its counter
--          of attempts
-- ARGV[1]  now in ms or '', ARGV[2] process
-- ARGV[3+] for each job: token of its claim, worker name, number of queue locks, number of job locks, number of
--          counters (0 or 1); then for each job lock its timeout in ms
-- Returns for each job: 1, or 0 if the process does not hold the claim (nothing was done); the position of a lock that
-- another owner holds (0 for none); the value of the counter, or false.
--!include common
--!include leases
--!include owners
--!include job_locks
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local alive = is_alive(KEYS[1], ARGV[2])
local results = {}

-- Acquire `count` locks for their timeouts, all or none. Return the position of one that another owner holds, or 0.
local function acquire_all(count, arg, key, owner)
  for i = 0, count - 1 do
    local other = lock_owner(KEYS[key + i], now, KEYS[1])
    if other and other ~= owner then return i + 1 end
  end
  for i = 0, count - 1 do hold_lock(KEYS[key + i], owner, now, tonumber(ARGV[arg + i])) end
  return 0
end

local arg, key = 3, 2
while arg <= #ARGV do
  local token, queue_locks, job_locks = ARGV[arg], tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
  local first_lock = key + 1 + queue_locks
  local next_key = first_lock + job_locks + tonumber(ARGV[arg + 4])
  local is_current, blocked_by, count = 0, 0, false
  if alive and claim_is_current(KEYS[key], token) then
    is_current = 1
    if queue_locks > 0 then redis.call('DEL', unpack(KEYS, key + 1, key + queue_locks)) end
    blocked_by = acquire_all(job_locks, arg + 5, first_lock, ARGV[arg + 1] .. '/' .. token)
    if next_key > first_lock + job_locks then count = redis.pcall('GET', KEYS[next_key - 1]) end
    if failed(count) then count = false end
  end
  results[#results + 1] = is_current
  results[#results + 1] = blocked_by
  results[#results + 1] = count
  arg, key = arg + 5 + job_locks, next_key
end
return results
