-- Names the processes that outlived their lease, and all workers; a process without a lease gets one first.
--
-- KEYS[1] processes, KEYS[2] workers
-- ARGV[1] now in ms or '', ARGV[2] lease in ms for the unknown, ARGV[3+] names of processes that may be unknown
-- Returns the dead, and the ids of all workers.
--!include common
local now = now_ms(ARGV[1])
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[1], 'NX', whole(now + tonumber(ARGV[2])), ARGV[i])
end
local workers = redis.pcall('SMEMBERS', KEYS[2])
if failed(workers) then workers = {} end
return { redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now)), workers, redis.call('ZRANGE', KEYS[1], 0, -1) }
