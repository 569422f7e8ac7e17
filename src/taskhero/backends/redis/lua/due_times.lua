-- Return the seconds to which jobs are delayed, and the number of jobs of each.
--
-- Reads key schedule; prefix, number first second, number maximum.
-- Returns the second to continue with, or '', then second and number in turn.
--!include arguments
--!include common
--!include reading
local schedule, prefix, first, limit = read_key(), read_text(), read_number(), read_number()
expect_end()
local found = redis.pcall('ZRANGEBYSCORE', schedule, int(first), '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
if failed(found) then return { '' } end
local due_times = { '' }
for i = 1, #found, 2 do
  local member, score = found[i], tonumber(found[i + 1])
  if string.find(member, '^%d+$') and tonumber(member) == score then
    local length = length_of(prefix .. 'delayed:' .. member)
    if length > 0 then
      due_times[#due_times + 1] = member
      due_times[#due_times + 1] = length
    end
  end
end
if #found == 2 * limit then
  -- Members with the same score include one whole second, which is on this page. So the next page starts after the last
  -- score.
  local last = tonumber(found[#found])
  due_times[1] = last < 2 ^ 53 and int(math.max(math.floor(last), first) + 1) or ''
end
return due_times
