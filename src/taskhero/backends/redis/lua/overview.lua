-- Return lengths, totals, the leader and the time of one instant.
--
-- Reads keys queues, failed list, names of Ruby's other failed lists, counter of processed jobs, counter of failed
-- jobs, the leader's lease, pause switch, master lock of resque-scheduler; now, prefix.
-- Returns now in ms; the leader's lease, the pause switch and both counters as they are stored; names and lengths of
-- the queues in turn, and of the failed lists (-1 for one that cannot be read); and the state of the master lock:
-- holder, lifetime in ms, since when in ms or '', whether it counts as dead.
--!include arguments
--!include common
--!include foreign
--!include reading
local names, failures, other_failures, processed = read_key(), read_key(), read_key(), read_key()
local failed_count, leader, pause, master_lock = read_key(), read_key(), read_key(), read_key()
local now, prefix = int(read_now()), read_text()
expect_end()
local queues, lists = {}, { 'failed', length_of(failures) }
for _, name in ipairs(members_of(names)) do
  queues[#queues + 1] = name
  queues[#queues + 1] = length_of(prefix .. 'queue:' .. name)
end
for _, name in ipairs(members_of(other_failures)) do
  lists[#lists + 1] = name
  lists[#lists + 1] = length_of(prefix .. name)
end
local foreign, holder, lifetime = {}, read_foreign_lock(master_lock)
if holder then
  local note = read_note(prefix)
  local same = note.value == holder
  foreign = { holder, lifetime, same and int(note.since) or '', same and note.dead and lifetime == -1 and 1 or 0 }
end
local counters = { string_at(processed), string_at(failed_count) }
return { now, string_at(leader), string_at(pause), counters[1], counters[2], queues, lists, foreign }
