-- Tells lengths, totals, who leads and the time, all of one instant.
--
-- KEYS[1] queues, KEYS[2] failures, KEYS[3] names of Ruby's other lists of failures, KEYS[4] counter of processed jobs
-- KEYS[5] counter of failed jobs, KEYS[6] the leader's lease, KEYS[7] pause switch
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace (queues and lists are named in sets)
-- Returns now in ms, the leader's lease, the pause switch and both counters as they stand there, names and lengths of the
-- queues in turn, and of the lists of failures; a length of -1 is one that cannot be read.
--!include common
--!include looking
local queues, lists = {}, { 'failed', length_of(KEYS[2]) }
for _, name in ipairs(members_of(KEYS[1])) do
  queues[#queues + 1] = name
  queues[#queues + 1] = length_of(ARGV[2] .. 'queue:' .. name)
end
for _, name in ipairs(members_of(KEYS[3])) do
  lists[#lists + 1] = name
  lists[#lists + 1] = length_of(ARGV[2] .. name)
end
local now = whole(now_ms(ARGV[1]))
return { now, text_of(KEYS[6]), text_of(KEYS[7]), text_of(KEYS[4]), text_of(KEYS[5]), queues, lists }
