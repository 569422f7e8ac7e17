-- Claim jobs for the free slots of a process. This is a faster form of `settle_and_claim` for when no job has ended.
--
-- Each claim is written to its worker key before its payload is removed from the queue.
--
-- KEYS[1] processes (sorted set: name, end of lease in ms), KEYS[2] pause switch
-- KEYS[3+] for each slot: its worker key; for each queue: its list and its wake list
-- ARGV[1] process, ARGV[2] number of slots, ARGV[3] maximum size of a batch in bytes
-- ARGV[4+] numbers of the slots; names of the queues in JSON; then the token of this batch and the value for run_at
-- Returns the same as `settle_and_claim`.
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
local jobs_left, problems, claims = claim_jobs(
  free, slots, last - 1 - first_queue, 3, first_queue, ARGV[1], ARGV[last - 1], ARGV[last], tonumber(ARGV[3])
)
return { { registered, paused, jobs_left }, {}, problems, claims }
