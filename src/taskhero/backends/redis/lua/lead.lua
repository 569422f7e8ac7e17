-- Takes or renews a lease that one owner holds at a time; its value is the end in ms, a blank, the owner.
--
-- KEYS[1] lease; ARGV[1] now in ms or '', ARGV[2] owner, ARGV[3] length in ms
-- Returns 1, or 0 while another one holds it.
--!include common
local now = now_ms(ARGV[1])
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then
  local until_ms, owner = string.match(value, '^(%d+) (.*)$')
  if owner and owner ~= ARGV[2] and tonumber(until_ms) > now then return 0 end
end
-- A full server refuses what is not preceded by a deletion; the leader goes on.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], int(now + tonumber(ARGV[3])) .. ' ' .. ARGV[2], 'PX', int(math.max(1, tonumber(ARGV[3]))))
return 1
