-- Claims jobs for the free slots of a process: what `exchange` does when no job has ended, in less time.
--
-- Each job is written under its worker before it leaves its queue.
--
-- KEYS[1] processes (sorted set: name, end of lease in ms), KEYS[2] pause switch
-- KEYS[3+] for each slot: its worker key; for each queue: its list and its wake list
-- ARGV[1] process, ARGV[2] number of slots, ARGV[3] bytes that a batch may have
-- ARGV[4+] the slots' numbers; the queues' names in JSON; then token of this batch, time for run_at
-- Returns what `exchange` returns.
--!include common
--!include claiming
local last = #ARGV
local slots = { unpack(ARGV, 4, 3 + tonumber(ARGV[2])) }
local held = redis.call('MGET', unpack(KEYS, 2, 2 + #slots))
local registered, paused = may_claim(ARGV[1], held[1])
local free = {}
for i = 1, registered == 1 and paused == 0 and #slots or 0 do
  if not is_claim(held[i + 1]) then free[#free + 1] = i end
end
local first_queue = 4 + #slots
local waiting, problems, claims = claim_jobs(
  free, slots, last - 1 - first_queue, 3, first_queue, ARGV[1], ARGV[last - 1], ARGV[last], tonumber(ARGV[3])
)
return { { registered, paused, waiting }, {}, problems, claims }
