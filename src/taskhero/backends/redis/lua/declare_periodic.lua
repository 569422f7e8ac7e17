-- Record which periodic tasks are declared, and return all known ones.
--
-- KEYS[1] processes, KEYS[2] declared tasks (hash: name, '<end of life in ms> <definition>'), KEYS[3] why tasks are
-- stopped (hash), KEYS[4] cron cursors (hash)
-- ARGV[1] now in ms or '', ARGV[2] lifetime in ms; then for each task: name, definition, '1' for a cron task
-- Returns now in ms, the stopped tasks {name, reason, ...}, then for each known task: definition, why it is stopped or
-- '', its cron cursor or ''.
--!include common
--!include periodic
local now = now_ms(ARGV[1])
local lifetime = tonumber(ARGV[2])
-- Fail on a key of the wrong type before anything is written.
for i = 2, 4 do redis.call('HLEN', KEYS[i]) end
if #ARGV > 2 then
  allow_oom(KEYS[1])
  for arg = 3, #ARGV, 3 do
    redis.call('HSET', KEYS[2], ARGV[arg], int(now + lifetime) .. ' ' .. ARGV[arg + 1])
    if ARGV[arg + 2] == '1' then
      redis.call('HSETNX', KEYS[4], ARGV[arg], int(math.floor(now / 1000)))
      touch_ttl(KEYS[4])
    end
  end
  if redis.call('PTTL', KEYS[2]) < lifetime then redis.call('PEXPIRE', KEYS[2], int(lifetime)) end
  touch_ttl(KEYS[3])
end
local results, expired = { int(now), redis.call('HGETALL', KEYS[3]) }, {}
local known = redis.call('HGETALL', KEYS[2])
for i = 1, #known, 2 do
  local ends, definition = string.match(known[i + 1], '^(%d+) (.*)$')
  if ends and tonumber(ends) > now then
    results[#results + 1] = definition
    results[#results + 1] = redis.call('HGET', KEYS[3], known[i]) or ''
    results[#results + 1] = redis.call('HGET', KEYS[4], known[i]) or ''
  else
    expired[#expired + 1] = known[i]
  end
end
for _, name in ipairs(expired) do redis.call('HDEL', KEYS[2], name) end
return results
