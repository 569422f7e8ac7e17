-- Takes jobs from dead processes, each to the front of its queue; each only if it still stands as it was seen.
--
-- KEYS[1] processes, KEYS[2] queues, KEYS[3] wake list for new queues; then for each job: worker key, queue, wake list
-- ARGV[1] now in ms or ''; then for each job: process, value seen, queue, raw to store
-- Returns for each job 1 (taken), 0 (it is not there any more), or why its queue cannot take it.
--!include common
go_on_when_full(KEYS[1])
local now = now_ms(ARGV[1])
local results = {}
local key = 4
for arg = 2, #ARGV, 4 do
  local process, seen, queue, raw = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  local worker, list, wake = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local lease = redis.call('ZSCORE', KEYS[1], process)
  local result = 0
  if lease and tonumber(lease) <= now and redis.pcall('GET', worker) == seen then
    result = failed(redis.pcall('LPUSH', list, raw)) or 1
    if result == 1 then
      redis.call('DEL', worker)
      arrived(KEYS[2], queue, wake, KEYS[3])
    end
  end
  results[#results + 1] = result
  key = key + 3
end
return results
