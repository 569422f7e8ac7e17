-- Store failed jobs again and remove them from the failed list. Each job is in its queue before its entry is removed.
--
-- KEYS[1] queues, KEYS[2] wake list for new queues; then for each: the failed list of the entry, its queue, the queue's
--         wake list; then its guards' keys
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace; then for each: queue, front (1 or 0), number of guards,
--         guards (as in push.lua), failed entry, payload
-- Returns for each 'stored', 'missing' or 'not_stored'.
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local prefix = ARGV[2]
local results = {}
local arg, key = 3, 3
while arg <= #ARGV do
  local queue, front, guards = ARGV[arg], ARGV[arg + 1], tonumber(ARGV[arg + 2])
  local source, list, wake = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local entry_arg = arg + 3 + 2 * guards
  local result = 'missing'
  if type(redis.pcall('LPOS', source, ARGV[entry_arg], 'RANK', -1)) == 'number' then
    local held = acquire_guards(guards, arg + 3, key + 3, now, prefix)
    if not held then
      result = 'not_stored'
    elseif failed(redis.pcall(front == '1' and 'LPUSH' or 'RPUSH', list, ARGV[entry_arg + 1])) then
      release_locks(held)
      result = 'not_stored'
    else
      notify_enqueued(KEYS[1], queue, wake, KEYS[2])
      redis.call('LREM', source, -1, ARGV[entry_arg])
      result = 'stored'
    end
  end
  results[#results + 1] = result
  arg, key = entry_arg + 2, key + 3 + guards
end
return results
