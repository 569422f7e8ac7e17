-- Return the stored state of workers.
--
-- KEYS[1] workers, KEYS[2] heartbeats (Ruby), KEYS[3] processes
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (the set names the workers' keys), ARGV[3] '1' to read only
-- these ids; ARGV[4+] ids
-- Returns for each: id, claim, start time, ping, counters of successes and of failures by name and by id, heartbeat, ms
-- until the lease of its process ends or ''. A value that is not a string is a table with its type.
--!include common
--!include reading
--!include worker_identity
local now, prefix = now_ms(ARGV[1]), ARGV[2]
local ids, results = {}, {}
if ARGV[3] == '1' then
  for i = 4, #ARGV do ids[i - 3] = ARGV[i] end
else
  ids = members_of(KEYS[1])
end
for _, id in ipairs(ids) do
  local name, process, beat = name_of(id), process_of(id), redis.pcall('HGET', KEYS[2], id)
  local row = { id, string_at(prefix .. 'worker:' .. id), string_at(prefix .. 'worker:' .. id .. ':started') }
  row[4] = string_at(prefix .. 'worker:ping:' .. name)
  row[5] = string_at(prefix .. 'stat:processed:' .. name)
  row[6] = string_at(prefix .. 'stat:processed:' .. id)
  row[7] = string_at(prefix .. 'stat:failed:' .. name)
  row[8] = string_at(prefix .. 'stat:failed:' .. id)
  row[9] = not failed(beat) and beat or false
  local lease = process and lease_of(KEYS[3], process)
  row[10] = lease and int(lease - now) or ''
  results[#results + 1] = row
end
return results
