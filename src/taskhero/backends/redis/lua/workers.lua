-- Return the stored state of workers.
--
-- Reads keys workers, heartbeats (Ruby), processes; now, prefix, flag to read only some workers; if so texts their ids.
-- Returns for each: id, claim, start time, ping, counters of successes and of failures by name and by id, heartbeat, ms
-- until the lease of its process ends or ''. A value that is not a string is a table with its type.
--!include arguments
--!include common
--!include reading
--!include worker_identity
local workers, heartbeats, processes = read_key(), read_key(), read_key()
local now, prefix, is_selective = read_now(), read_text(), read_flag()
local ids, results = is_selective and read_texts() or members_of(workers), {}
expect_end()
for _, id in ipairs(ids) do
  local name, process, beat = name_of(id), process_of(id), redis.pcall('HGET', heartbeats, id)
  local row = { id, string_at(prefix .. 'worker:' .. id), string_at(prefix .. 'worker:' .. id .. ':started') }
  row[4] = string_at(prefix .. 'worker:ping:' .. name)
  row[5] = string_at(prefix .. 'stat:processed:' .. name)
  row[6] = string_at(prefix .. 'stat:processed:' .. id)
  row[7] = string_at(prefix .. 'stat:failed:' .. name)
  row[8] = string_at(prefix .. 'stat:failed:' .. id)
  row[9] = not failed(beat) and beat or false
  local lease = process and lease_of(processes, process)
  row[10] = lease and int(lease - now) or ''
  results[#results + 1] = row
end
return results
