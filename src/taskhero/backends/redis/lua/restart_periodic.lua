-- Remove all copies of a periodic task, queued and delayed, and stop or restart it.
--
-- KEYS[1] processes, KEYS[2] why tasks are stopped, KEYS[3] cron cursors, KEYS[4] schedule (sorted set of due times)
-- KEYS[5] wake list of schedulers, KEYS[6] the task's queue; then its queue locks; then the sets of the due times of
-- its payloads
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace, ARGV[3] name, ARGV[4] 'stop' or 'restart'
-- ARGV[5] frequency in ms, '' for a cron task; ARGV[6] number of locks; then its payloads, that of the next job first
-- Returns the number of copies removed, and the due time of the next run or ''.
--!include common
--!include delaying
--!include periodic
--!include removing
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local prefix, name, frequency, locks = ARGV[2], ARGV[3], ARGV[5], tonumber(ARGV[6])
-- Detect keys that cannot be written before anything is written.
local due_time = ARGV[4] == 'restart' and frequency ~= '' and next_due_time(now, tonumber(frequency)) or nil
local problem = failed(redis.pcall('HLEN', KEYS[2])) or failed(redis.pcall('HLEN', KEYS[3]))
if due_time then problem = problem or not_delayable(due_time, KEYS[4], prefix) end
if problem then return redis.error_reply(problem) end
if ARGV[4] == 'stop' then
  redis.call('HSET', KEYS[2], name, 'asked')
  touch_ttl(KEYS[2])
else
  redis.call('HDEL', KEYS[2], name)
  if frequency == '' then
    redis.call('HSET', KEYS[3], name, int(math.floor(now / 1000)))
    touch_ttl(KEYS[3])
  end
end
local payload_count = #ARGV - 6
local removed = remove_queued(KEYS[6], payload_count, 7)
if locks > 0 then redis.call('DEL', unpack(KEYS, 7, 6 + locks)) end
removed = removed + remove_delayed(payload_count, 7, 7 + locks, KEYS[4], prefix)
if due_time then delay_to(due_time, ARGV[7], KEYS[4], KEYS[5], prefix) end
return { removed, due_time and int(due_time) or '' }
