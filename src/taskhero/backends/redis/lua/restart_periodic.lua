-- Remove all copies of a periodic task, queued and delayed, and stop or restart it.
--
-- Reads keys processes, why tasks are stopped, cron cursors, schedule, wake list of schedulers, the task's queue; now,
-- prefix, text name, flag whether to stop it, optional frequency in ms (none for a cron task), several keys its queue
-- locks, texts its payloads (that of the next job first), several keys the sets of their due times.
-- Returns the number of copies removed, and the due time of the next run or ''.
--!include arguments
--!include common
--!include delaying
--!include periodic
--!include removing
local processes, stops, cursors, schedule = read_key(), read_key(), read_key(), read_key()
local wake_schedule, list = read_key(), read_key()
local now, prefix, name, is_stop, frequency = read_now(), read_text(), read_text(), read_flag(), read_optional()
local locks, payloads, indexes = read_keys(), read_texts(), read_keys()
expect_end()
allow_oom(processes)
-- Detect keys that cannot be written before anything is written.
local due_time = not is_stop and frequency and next_due_time(now, tonumber(frequency)) or nil
local problem = failed(redis.pcall('HLEN', stops)) or failed(redis.pcall('HLEN', cursors))
if due_time then problem = problem or not_delayable(due_time, schedule, prefix) end
if problem then return redis.error_reply(problem) end
if is_stop then
  redis.call('HSET', stops, name, 'asked')
  touch_ttl(stops)
else
  redis.call('HDEL', stops, name)
  if not frequency then
    redis.call('HSET', cursors, name, int(math.floor(now / 1000)))
    touch_ttl(cursors)
  end
end
local removed = remove_queued(list, payloads)
if #locks > 0 then redis.call('DEL', unpack(locks)) end
removed = removed + remove_delayed(payloads, indexes, schedule, prefix)
if due_time then delay_to(due_time, payloads[1], schedule, wake_schedule, prefix) end
return { removed, due_time and int(due_time) or '' }
