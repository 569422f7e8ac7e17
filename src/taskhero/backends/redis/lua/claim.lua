-- Claim jobs for the free slots of a process. This is a faster form of `settle_and_claim` for when no job has ended.
--
-- Each claim is written to its worker key before its payload is removed from the queue.
--
-- Reads keys processes, pause switch; text process, number maximum size of a batch in bytes, number of slots; for each
-- key worker key, text number; queues; texts token of this batch, value for run_at. These two are last, since only they
-- change from call to call.
-- Returns the same as `settle_and_claim`.
--!include arguments
--!include common
--!include claiming
local processes, pause, process, max_bytes = read_key(), read_key(), read_text(), read_number()
local workers, names, free = {}, {}, {}
for i = 1, read_number() do workers[i], names[i] = read_key(), read_text() end
local queues = read_queues()
local claimer = { process = process, max_bytes = max_bytes, token = read_text(), run_at = read_text() }
expect_end()
local held = redis.call('MGET', pause, unpack(workers))
local registered, paused = may_claim(processes, process, held[1])
for i = 1, registered == 1 and paused == 0 and #workers or 0 do
  if not is_claim(held[i + 1]) then free[#free + 1] = i end
end
local jobs_left, problems, claims = claim_jobs(processes, workers, names, free, queues, claimer)
return { { registered, paused, jobs_left }, {}, problems, claims }
