-- Gives claimed jobs what they need before they run: the locks of the queued job go, those of the running one are taken.
--
-- KEYS[1]  processes; then for each job: its worker key, the locks to release, the locks to hold, its counter of attempts
-- ARGV[1]  now in ms or '', ARGV[2] process
-- ARGV[3+] for each job: token of its claim, worker name, number of locks to release, number of locks to hold,
--          number of counters (0 or 1); then for each lock to hold its timeout in ms
-- Returns for each job: 0 (not the process's, nothing was done), or 1; the lock that somebody else holds (0 for none);
-- what the counter holds, or false.
--!include common
--!include leases
--!include owners
--!include locks
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local is_alive = lives(KEYS[1], ARGV[2])
local results = {}

-- Takes `count` locks for as long as their timeouts, all or none; returns which is another owner's.
local function acquire_all(count, arg, key, owner)
  for i = 0, count - 1 do
    local other = lock_owner(KEYS[key + i], now, KEYS[1])
    if other and other ~= owner then return i + 1 end
  end
  for i = 0, count - 1 do hold(KEYS[key + i], owner, now, tonumber(ARGV[arg + i])) end
  return 0
end

local arg, key = 3, 2
while arg <= #ARGV do
  local token, releases, holds = ARGV[arg], tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
  local first_lock = key + 1 + releases
  local next_key = first_lock + holds + tonumber(ARGV[arg + 4])
  local mine, blocked_by, count = 0, 0, false
  if is_alive and claim_is_current(KEYS[key], token) then
    mine = 1
    if releases > 0 then redis.call('DEL', unpack(KEYS, key + 1, key + releases)) end
    blocked_by = acquire_all(holds, arg + 5, first_lock, ARGV[arg + 1] .. '/' .. token)
    if next_key > first_lock + holds then count = redis.pcall('GET', KEYS[next_key - 1]) end
    if failed(count) then count = false end
  end
  results[#results + 1] = mine
  results[#results + 1] = blocked_by
  results[#results + 1] = count
  arg, key = arg + 5 + holds, next_key
end
return results
