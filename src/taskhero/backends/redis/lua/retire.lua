-- Takes workers from view; a job that one still holds goes to the front of its queue, as it is.
--
-- KEYS[1] processes, KEYS[2] workers, KEYS[3] heartbeats, KEYS[4] queues, KEYS[5] wake list for new queues
-- KEYS[6] workers of taskhero
-- KEYS[7+] for each worker, last claim first: worker key, start time, ping, its two counters; list, wake list of the held job's queue
-- ARGV[1] now in ms or '', ARGV[2] process, ARGV[3] 'living' or 'dead' (only if its lease is over), ARGV[4] '1' to end the lease
-- ARGV[5+] for each worker: id, the value seen under it or '', its raw text, its queue
-- Returns how many jobs were given back, then position and reason in turn of the workers whose queue cannot take the job;
-- these stay as they are, and a process that ends its lease has one then that is over.
-- Or -1 if the process lives, or -2 if a claim changed meanwhile; then nothing was done.
--!include common
go_on_when_full(KEYS[1])
local now = now_ms(ARGV[1])
local process = ARGV[2]
if ARGV[3] == 'dead' then
  local lease = redis.call('ZSCORE', KEYS[1], process)
  if not lease or tonumber(lease) > now then return { -1 } end
end
local workers = (#ARGV - 4) / 4
for i = 0, workers - 1 do
  local value = redis.pcall('GET', KEYS[7 + 7 * i])
  if type(value) ~= 'string' then value = '' end
  if value ~= ARGV[5 + 4 * i + 1] then return { -2 } end
end
local results = { 0 }
for i = 0, workers - 1 do
  local arg, key = 5 + 4 * i, 7 + 7 * i
  local id, raw, queue = ARGV[arg], ARGV[arg + 2], ARGV[arg + 3]
  local problem = queue ~= '' and failed(redis.pcall('LPUSH', KEYS[key + 5], raw))
  if problem then
    results[#results + 1] = i + 1
    results[#results + 1] = problem
  else
    if queue ~= '' then
      arrived(KEYS[4], queue, KEYS[key + 6], KEYS[5])
      results[1] = results[1] + 1
    end
    redis.pcall('SREM', KEYS[2], id)
    redis.pcall('SREM', KEYS[6], id)
    redis.pcall('HDEL', KEYS[3], id)
    redis.call('DEL', KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4])
  end
end
if ARGV[4] == '1' then
  if #results == 1 then
    redis.call('ZREM', KEYS[1], process)
  elseif ARGV[3] ~= 'dead' then
    redis.call('ZADD', KEYS[1], whole(now), process)
  end
end
return results
