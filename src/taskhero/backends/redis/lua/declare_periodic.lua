-- Record which periodic tasks are declared, and return all known ones.
--
-- Reads keys processes, declared tasks (hash: name, '<end of life in ms> <definition>'), why tasks are stopped (hash),
-- cron cursors (hash); now, number lifetime in ms, number of tasks; for each task: texts name, definition, flag for a
-- cron task.
-- Returns now in ms, the stopped tasks {name, reason, ...}, then for each known task: definition, why it is stopped or
-- '', its cron cursor or ''.
--!include arguments
--!include common
--!include periodic
local processes, declared, stopped, cursors = read_key(), read_key(), read_key(), read_key()
local now, lifetime, count = read_now(), read_number(), read_number()
-- Fail on a key of the wrong type before anything is written.
for _, key in ipairs({ declared, stopped, cursors }) do redis.call('HLEN', key) end
if count > 0 then
  allow_oom(processes)
  for _ = 1, count do
    local name, definition, is_cron = read_text(), read_text(), read_flag()
    redis.call('HSET', declared, name, int(now + lifetime) .. ' ' .. definition)
    if is_cron then
      redis.call('HSETNX', cursors, name, int(math.floor(now / 1000)))
      touch_ttl(cursors)
    end
  end
  if redis.call('PTTL', declared) < lifetime then redis.call('PEXPIRE', declared, int(lifetime)) end
  touch_ttl(stopped)
end
expect_end()
local results, expired = { int(now), redis.call('HGETALL', stopped) }, {}
local known = redis.call('HGETALL', declared)
for i = 1, #known, 2 do
  local ends, definition = string.match(known[i + 1], '^(%d+) (.*)$')
  if ends and tonumber(ends) > now then
    results[#results + 1] = definition
    results[#results + 1] = redis.call('HGET', stopped, known[i]) or ''
    results[#results + 1] = redis.call('HGET', cursors, known[i]) or ''
  else
    expired[#expired + 1] = known[i]
  end
end
for _, name in ipairs(expired) do redis.call('HDEL', declared, name) end
return results
