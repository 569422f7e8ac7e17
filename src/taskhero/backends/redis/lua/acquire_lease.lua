-- Take or renew a lease that one owner holds at a time. Its value is '<end in ms> <owner>'.
--
-- KEYS[1] lease; ARGV[1] now in ms or '', ARGV[2] owner, ARGV[3] length in ms
-- Returns 1, or 0 while another owner holds it.
--!include common
local now = now_ms(ARGV[1])
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then
  local ends_at, owner = string.match(value, '^(%d+) (.*)$')
  if owner and owner ~= ARGV[2] and tonumber(ends_at) > now then return 0 end
end
-- A full server accepts a write that follows a deletion, so the leader can renew its lease there.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], int(now + tonumber(ARGV[3])) .. ' ' .. ARGV[2], 'PX', int(math.max(1, tonumber(ARGV[3]))))
return 1
