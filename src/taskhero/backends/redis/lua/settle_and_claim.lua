-- Settle ended jobs and claim the next ones for the free slots of a process.
--
-- Each job is written to its destination before its claim ends, and to its worker key before its payload is removed
-- from the queue.
--
-- Reads keys processes (sorted set: name, end of lease in ms), pause switch, counter of processed jobs, counter of
-- failed jobs, failed list, queues, schedule (sorted set of due times), wake list of schedulers, wake list for new
-- queues; now, prefix, text process, number maximum size of a batch in bytes, texts token of this batch, value for
-- run_at, number of slots; for each key worker key, text number, flag free, text token of the claim to settle or '';
-- queues; resources; for each claim to settle text kind of its disposition, and its data.
-- Returns flags {registered, paused, jobs left}; results of settlements {slot index, result, ...}, only those to
-- report; problems {queue index, error, ...}; claims {slot index, queue index, number, payload, ...}.
-- The lists of due times are derived from the prefix, since only the server's clock determines them.
--!include arguments
--!include common
--!include delaying
--!include spellings
--!include periodic
--!include removing
--!include settling
--!include resources
--!include claiming
local processes, pause, processed, failed_count, failures = read_key(), read_key(), read_key(), read_key(), read_key()
local known_queues, schedule, wake_schedule, wake_new = read_key(), read_key(), read_key(), read_key()
local now, fraction = read_now()
local prefix, process = read_text(), read_text()
local step = {
  now = now, fraction = fraction, prefix = prefix, failed_count = failed_count, failures = failures,
  queues = known_queues, schedule = schedule, wake_schedule = wake_schedule, wake_new = wake_new
}
local claimer = { process = process, max_bytes = read_number(), token = read_text(), run_at = read_text() }
local workers, names, is_free, tokens = {}, {}, {}, {}
for i = 1, read_number() do
  workers[i], names[i], is_free[i], tokens[i] = read_key(), read_text(), read_flag(), read_text()
end
local queues, resources = read_queues(), read_resources()
allow_oom(processes)

-- What each worker key holds now. A slot can occur twice: with a settlement that is sent again, and with a new one.
local held, values = {}, redis.call('MGET', pause, unpack(workers))
for i, worker in ipairs(workers) do held[worker] = values[i + 1] end

local settled, none = {}, {}
for i, worker in ipairs(workers) do
  if tokens[i] ~= '' then
    local kind, own = read_text(), resources[i] or none
    local value, next_run = held[worker], own.next_run
    if not is_claim(value, tokens[i]) then value = nil end
    local next_problem = value and next_run and next_run_problem(step, next_run, kind)
    local problem, runs_again = settle[kind](step, i, not next_problem and value or nil)
    problem = next_problem or problem
    local is_settled = value and not problem
    if is_settled then
      settled[#settled + 1] = worker
      held[worker] = false
      local at = next_run and not runs_again and delay_next_run(step, next_run, kind == 'failed' or kind == 'retried')
      if at then report(i, 'next ' .. int(at)) end
    else
      report(i, value and 'error ' .. problem or 'gone')
    end
    if own.locks and (is_settled or not value) then
      release_resources(process .. '+' .. names[i] .. '/' .. tokens[i], own.locks, is_settled and own.counters or none)
    end
  end
end
expect_end()
if #settled > 0 then redis.call('DEL', unpack(settled)) end
count_succeeded(processed)

local registered, paused = may_claim(processes, process, values[1])
local free = {}
for i, worker in ipairs(registered == 1 and paused == 0 and workers or none) do
  if is_free[i] and not is_claim(held[worker]) then free[#free + 1] = i end
end
local jobs_left, problems, claims = claim_jobs(processes, workers, names, free, queues, claimer)
return { { registered, paused, jobs_left }, results, problems, claims }
