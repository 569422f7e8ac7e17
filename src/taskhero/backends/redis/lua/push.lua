-- Store jobs in their queues, in one atomic step for all of them.
--
-- KEYS[1]  queues (set of names)
-- KEYS[2]  wake list of processes that wait for new queues
-- KEYS[3+] for each queue its list and its wake list; then the keys of the guards, in the order of use
-- ARGV[1]  now in ms, or '' for the server's clock
-- ARGV[2]  prefix of the namespace, for the delayed lists that a guard reads
-- ARGV[3]  number of queues; then their names; then the operations:
--          'R' queue count payload...                 append jobs without guards
--          'G' queue front guards (guard...) payload  store one job with guards; a guard is
--              'L' or 'S' timeout                     (key: a queue lock; 'S' is shared)
--              'D' payload                            (key: the set of due times of that payload)
--              'M' ''                                 (key: the payloads delayed with that meaning)
-- Returns for each job 1 (stored), 0 (a guard did not hold) or the text of an error.
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
  local operation, queue = ARGV[arg], tonumber(ARGV[arg + 1])
  local list, wake = KEYS[1 + 2 * queue], KEYS[2 + 2 * queue]
  if operation == 'R' then
    local count = tonumber(ARGV[arg + 2])
    local result = redis.pcall('RPUSH', list, unpack(ARGV, arg + 3, arg + 2 + count))
    local status = failed(result) or 1
    for _ = 1, count do results[#results + 1] = status end
    if status == 1 then notify_enqueued(KEYS[1], ARGV[3 + queue], wake, KEYS[2]) end
    arg = arg + 3 + count
  else
    local front, guards = ARGV[arg + 2], tonumber(ARGV[arg + 3])
    local held
    held, arg, key = acquire_guards(guards, arg + 4, key, now, prefix)
    if held then
      local result = redis.pcall(front == '1' and 'LPUSH' or 'RPUSH', list, ARGV[arg])
      local problem = failed(result)
      if problem then
        release_locks(held)
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
