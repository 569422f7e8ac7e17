-- Enqueue the jobs of a cron task whose fire times are due, and advance its cron cursor. Only one caller succeeds.
--
-- Reads keys why tasks are stopped, cron cursors, queues, wake list for new queues, the task's queue, its wake list;
-- now, prefix, texts name, queue, expected cron cursor or '', new cron cursor, number of jobs, text payload, guards.
-- Returns 'stored', 'missed' or 'stopped', or 'error <message>'.
--!include arguments
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include periodic
local stops, cursors, queues, wake_new, list, wake =
  read_key(), read_key(), read_key(), read_key(), read_key(), read_key()
local now, prefix, name, queue = read_now(), read_text(), read_text(), read_text()
local expected_cursor, new_cursor, count, payload = read_text(), read_text(), read_number(), read_text()
local guards = read_guards()
expect_end()
if (redis.call('HGET', cursors, name) or '') ~= expected_cursor then return 'missed' end
local stopped = redis.call('HEXISTS', stops, name) == 1
for _ = 1, stopped and 0 or count do
  local held = acquire_guards(guards, now, prefix)
  if held then
    local problem = failed(redis.pcall('RPUSH', list, payload))
    if problem then
      release_locks(held)
      return 'error ' .. problem
    end
    notify_enqueued(queues, queue, wake, wake_new)
  end
end
redis.call('HSET', cursors, name, new_cursor)
touch_ttl(cursors)
return stopped and 'stopped' or 'stored'
