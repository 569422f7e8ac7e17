-- Names the processes that outlived their lease, and all workers; a process without a lease gets one first.
--
-- KEYS[1] processes, KEYS[2] workers, KEYS[3] workers of taskhero
-- ARGV[1] now in ms or '', ARGV[2] lease in ms for the unknown, ARGV[3+] names of processes that may be unknown
-- Returns the dead, the ids of workers (some twice), and all processes that have a lease.
--!include common
go_on_when_full(KEYS[1])
local now = now_ms(ARGV[1])
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[1], 'NX', whole(now + tonumber(ARGV[2])), ARGV[i])
end
-- Either set alone names them all, unless somebody deleted or spoiled it.
local workers = {}
for i = 2, 3 do
  local ids = redis.pcall('SMEMBERS', KEYS[i])
  for _, id in ipairs(failed(ids) and {} or ids) do workers[#workers + 1] = id end
end
return { redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now)), workers, redis.call('ZRANGE', KEYS[1], 0, -1) }
