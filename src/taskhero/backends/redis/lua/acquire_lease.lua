-- Take or renew a lease that one owner holds at a time. Its value is '<end in ms> <owner>'.
--
-- Reads key lease; now, text owner, number length in ms.
-- Returns 1, or 0 while another owner holds it.
--!include arguments
--!include common
local lease, now, owner, length = read_key(), read_now(), read_text(), read_number()
expect_end()
local value = redis.pcall('GET', lease)
if type(value) == 'string' then
  local ends_at, holder = string.match(value, '^(%d+) (.*)$')
  if holder and holder ~= owner and tonumber(ends_at) > now then return 0 end
end
-- A full server accepts a write that follows a deletion, so the leader can renew its lease there.
redis.call('DEL', lease)
redis.call('SET', lease, int(now + length) .. ' ' .. owner, 'PX', int(math.max(1, length)))
return 1
