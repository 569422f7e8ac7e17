-- Return the seconds to which jobs are delayed, and the number of jobs of each.
--
-- KEYS[1] schedule (sorted set of due times)
-- ARGV[1] prefix of the namespace (the schedule names the lists), ARGV[2] first second, ARGV[3] maximum number
-- Returns the second to continue with, or '', then second and number in turn.
--!include common
--!include reading
local found = redis.pcall('ZRANGEBYSCORE', KEYS[1], ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
if failed(found) then return { '' } end
local due_times = { '' }
for i = 1, #found, 2 do
  local member, score = found[i], tonumber(found[i + 1])
  if string.find(member, '^%d+$') and tonumber(member) == score then
    local length = length_of(ARGV[1] .. 'delayed:' .. member)
    if length > 0 then
      due_times[#due_times + 1] = member
      due_times[#due_times + 1] = length
    end
  end
end
if #found == 2 * tonumber(ARGV[3]) then
  -- Members with the same score include one whole second, which is on this page. So the next page starts after the last
  -- score.
  local last, first = tonumber(found[#found]), tonumber(ARGV[2])
  due_times[1] = last < 2 ^ 53 and int(math.max(math.floor(last), first) + 1) or ''
end
return due_times
