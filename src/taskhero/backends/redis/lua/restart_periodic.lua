-- Takes all copies of a periodic task away, queued and delayed, and stops it or lets it begin anew.
--
-- KEYS[1] processes, KEYS[2] why tasks are stopped, KEYS[3] until when slots are seen, KEYS[4] sorted set of moments
-- KEYS[5] wake list of schedulers, KEYS[6] the task's queue; then locks of its queued job; then sets of the moments of its
-- texts
-- ARGV[1] now in ms or '', ARGV[2] prefix of the namespace, ARGV[3] name, ARGV[4] 'stop' or 'restart'
-- ARGV[5] frequency in ms, '' for a task by cron; ARGV[6] number of locks; then its texts, that of the next job first
-- Returns how many copies there were, the moment of the next run or ''.
--!include common
--!include delaying
--!include periodic
allow_oom(KEYS[1])
local now = now_ms(ARGV[1])
local prefix, name, frequency, locks = ARGV[2], ARGV[3], ARGV[5], tonumber(ARGV[6])
-- What cannot be written is known before anything is.
local moment = ARGV[4] == 'restart' and frequency ~= '' and next_due_time(now, tonumber(frequency)) or nil
local problem = failed(redis.pcall('HLEN', KEYS[2])) or failed(redis.pcall('HLEN', KEYS[3]))
if moment then problem = problem or not_delayable(moment, KEYS[4], prefix) end
if problem then return redis.error_reply(problem) end
if ARGV[4] == 'stop' then
  redis.call('HSET', KEYS[2], name, 'asked')
  keep(KEYS[2])
else
  redis.call('HDEL', KEYS[2], name)
  if frequency == '' then
    redis.call('HSET', KEYS[3], name, int(math.floor(now / 1000)))
    keep(KEYS[3])
  end
end
local forms = #ARGV - 6
local removed = remove_queued(KEYS[6], forms, 7)
if locks > 0 then redis.call('DEL', unpack(KEYS, 7, 6 + locks)) end
removed = removed + remove_delayed(forms, 7, 7 + locks, KEYS[4], prefix)
if moment then delay_to(moment, ARGV[7], KEYS[4], KEYS[5], prefix) end
return { removed, moment and int(moment) or '' }
