-- Stores jobs in their queues: one atomic step for all of them.
--
-- KEYS[1]  queues (set of names)
-- KEYS[2]  wake list of those who wait for new queues
-- KEYS[3+] for each queue its list and its wake list; then the keys that guards name, in the order of use
-- ARGV[1]  now in ms, or '' for the server's clock
-- ARGV[2]  prefix of the namespace, for delayed lists that a guard looks into
-- ARGV[3]  number of queues; then their names; then the operations:
--          'R' queue count raw...                     append plain jobs
--          'G' queue front guards (guard...) raw      one job with conditions; a guard is
--              'L' or 'S' timeout                     (takes the next key: a lock; 'S' is shared)
--              'D' form                               (takes the next key: the set of moments of that text)
--              'M' ''                                 (takes the next key: what was delayed of that meaning)
-- Returns for each job 1 (stored), 0 (refused by a guard) or the text of an error.
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
local now = now_ms(ARGV[1])
local prefix, queues = ARGV[2], tonumber(ARGV[3])
local arg, key = 4 + queues, 3 + 2 * queues
local results = {}

while arg <= #ARGV do
  local op, queue = ARGV[arg], tonumber(ARGV[arg + 1])
  local list, wake = KEYS[1 + 2 * queue], KEYS[2 + 2 * queue]
  if op == 'R' then
    local count = tonumber(ARGV[arg + 2])
    local result = redis.pcall('RPUSH', list, unpack(ARGV, arg + 3, arg + 2 + count))
    local status = failed(result) or 1
    for _ = 1, count do results[#results + 1] = status end
    if status == 1 then notify_enqueued(KEYS[1], ARGV[3 + queue], wake, KEYS[2]) end
    arg = arg + 3 + count
  else
    local front, guards = ARGV[arg + 2], tonumber(ARGV[arg + 3])
    local held
    held, arg, key = take(guards, arg + 4, key, now, prefix)
    if held then
      local result = redis.pcall(front == '1' and 'LPUSH' or 'RPUSH', list, ARGV[arg])
      local problem = failed(result)
      if problem then
        release(held)
        results[#results + 1] = problem
      else
        results[#results + 1] = 1
        notify_enqueued(KEYS[1], ARGV[3 + queue], wake, KEYS[2])
      end
    else
      results[#results + 1] = 0
    end
    arg = arg + 1
  end
end
return results
