-- Stores the jobs of a task by cron whose slots are due, and notes these as seen; once for all who do so.
--
-- KEYS[1] why tasks are stopped, KEYS[2] until when slots are seen, KEYS[3] queues, KEYS[4] wake list for new queues
-- KEYS[5] the task's queue, KEYS[6] its wake list; then the keys that guards name
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace, ARGV[3] name, ARGV[4] queue, ARGV[5] until when slots must be
-- seen so far, or '', ARGV[6] until when they are from now on, ARGV[7] number of jobs, ARGV[8] number of guards; guards as
-- in push.lua; the job's text
-- Returns 'stored', 'missed' or 'stopped', or 'error <text>'.
--!include common
--!include spellings
--!include adopting
--!include owners
--!include guards
--!include periodic
local now = now_ms(ARGV[1])
local guards = tonumber(ARGV[8])
local raw = ARGV[9 + 2 * guards]
if (redis.call('HGET', KEYS[2], ARGV[3]) or '') ~= ARGV[5] then return 'missed' end
local stopped = redis.call('HEXISTS', KEYS[1], ARGV[3]) == 1
for _ = 1, stopped and 0 or tonumber(ARGV[7]) do
  local held = take(guards, 9, 7, now, ARGV[2])
  if held then
    local problem = failed(redis.pcall('RPUSH', KEYS[5], raw))
    if problem then
      release(held)
      return 'error ' .. problem
    end
    notify_enqueued(KEYS[3], ARGV[4], KEYS[6], KEYS[4])
  end
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[6])
keep(KEYS[2])
return stopped and 'stopped' or 'stored'
