-- Tells lengths, totals, who leads and the time, all of one instant.
--
-- KEYS[1] queues, KEYS[2] failures, KEYS[3] names of Ruby's other lists of failures, KEYS[4] counter of processed jobs
-- KEYS[5] counter of failed jobs, KEYS[6] the leader's lease, KEYS[7] pause switch
-- KEYS[8] master lock of Ruby's scheduler
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (queues and lists are named in sets)
-- Returns now in ms, the leader's lease, the pause switch and both counters as they stand there, names and lengths of the
-- queues in turn, and of the lists of failures (a length of -1 is one that cannot be read), and what is known of the master
-- lock: lock_owner, lifetime in ms, since when in ms or '', whether it counts as dead.
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
local foreign, lock_owner, lifetime = {}, foreign_holder(KEYS[8])
if lock_owner then
  local note = noted_of(ARGV[2])
  local same = note.value == lock_owner
  foreign = { lock_owner, lifetime, same and int(note.since) or '', same and note.dead and lifetime == -1 and 1 or 0 }
end
return { now, string_at(KEYS[6]), string_at(KEYS[7]), string_at(KEYS[4]), string_at(KEYS[5]), queues, lists, foreign }
