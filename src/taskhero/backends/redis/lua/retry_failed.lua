-- Store failed jobs again and remove them from the failed list. Each job is in its queue before its entry is removed.
--
-- Reads keys queues, wake list for new queues; now, prefix, number of jobs; for each keys failed list of the entry, its
-- queue, the queue's wake list, text queue, flag front, texts failed entry, payload, guards.
-- Returns for each 'stored', 'missing' or 'not_stored'.
--!include arguments
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
local queues, wake_new = read_key(), read_key()
local now, prefix = read_now(), read_text()
allow_oom(queues)
local results = {}
for i = 1, read_number() do
  local source, list, wake = read_key(), read_key(), read_key()
  local queue, front, entry, payload = read_text(), read_flag(), read_text(), read_text()
  local guards, result = read_guards(), 'missing'
  if type(redis.pcall('LPOS', source, entry, 'RANK', -1)) == 'number' then
    local held = acquire_guards(guards, now, prefix)
    if not held then
      result = 'not_stored'
    elseif failed(redis.pcall(front and 'LPUSH' or 'RPUSH', list, payload)) then
      release_locks(held)
      result = 'not_stored'
    else
      notify_enqueued(queues, queue, wake, wake_new)
      redis.call('LREM', source, -1, entry)
      result = 'stored'
    end
  end
  results[i] = result
end
expect_end()
return results
