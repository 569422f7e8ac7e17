-- Enqueue the jobs of a cron task whose fire times are due, and advance its cron cursor. Only one caller succeeds.
--
-- KEYS[1] why tasks are stopped, KEYS[2] cron cursors, KEYS[3] queues, KEYS[4] wake list for new queues
-- KEYS[5] the task's queue, KEYS[6] its wake list; then the keys of its guards
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace, ARGV[3] name, ARGV[4] queue, ARGV[5] expected cron cursor
-- or '',
-- ARGV[6] new cron cursor, ARGV[7] number of jobs, ARGV[8] number of guards; guards as in push.lua; the job's payload
-- Returns 'stored', 'missed' or 'stopped', or 'error <message>'.
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include periodic
local now = now_ms(ARGV[1])
local guards = tonumber(ARGV[8])
local payload = ARGV[9 + 2 * guards]
if (redis.call('HGET', KEYS[2], ARGV[3]) or '') ~= ARGV[5] then return 'missed' end
local stopped = redis.call('HEXISTS', KEYS[1], ARGV[3]) == 1
for _ = 1, stopped and 0 or tonumber(ARGV[7]) do
  local held = acquire_guards(guards, 9, 7, now, ARGV[2])
  if held then
    local problem = failed(redis.pcall('RPUSH', KEYS[5], payload))
    if problem then
      release_locks(held)
      return 'error ' .. problem
    end
    notify_enqueued(KEYS[3], ARGV[4], KEYS[6], KEYS[4])
  end
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[6])
touch_ttl(KEYS[2])
return stopped and 'stopped' or 'stored'
