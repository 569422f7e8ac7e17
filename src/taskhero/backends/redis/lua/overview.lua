-- Return lengths, totals, the leader and the time of one instant.
--
-- KEYS[1] queues, KEYS[2] failed list, KEYS[3] names of Ruby's other failed lists, KEYS[4] counter of processed jobs
-- KEYS[5] counter of failed jobs, KEYS[6] the leader's lease, KEYS[7] pause switch
-- KEYS[8] master lock of resque-scheduler
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (sets name the queues and lists)
-- Returns now in ms; the leader's lease, the pause switch and both counters as they are stored; names and lengths of
-- the queues in turn, and of the failed lists (-1 for one that cannot be read); and the state of the master lock:
-- holder, lifetime in ms, since when in ms or '', whether it counts as dead.
--!include common
--!include foreign
--!include reading
local queues, lists = {}, { 'failed', length_of(KEYS[2]) }
for _, name in ipairs(members_of(KEYS[1])) do
  queues[#queues + 1] = name
  queues[#queues + 1] = length_of(ARGV[2] .. 'queue:' .. name)
end
for _, name in ipairs(members_of(KEYS[3])) do
  lists[#lists + 1] = name
  lists[#lists + 1] = length_of(ARGV[2] .. name)
end
local now = int(now_ms(ARGV[1]))
local foreign, holder, lifetime = {}, read_foreign_lock(KEYS[8])
if holder then
  local note = read_note(ARGV[2])
  local same = note.value == holder
  foreign = { holder, lifetime, same and int(note.since) or '', same and note.dead and lifetime == -1 and 1 or 0 }
end
return { now, string_at(KEYS[6]), string_at(KEYS[7]), string_at(KEYS[4]), string_at(KEYS[5]), queues, lists, foreign }
