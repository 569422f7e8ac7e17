-- Tells for which seconds jobs are delayed, and how many.
--
-- KEYS[1] sorted set of moments
-- ARGV[1] prefix of the namespace (lists of moments are named in the set), ARGV[2] first second, ARGV[3] how many
-- Returns where to go on, or '', then second and number in turn.
--!include common
--!include reading
local found = redis.pcall('ZRANGEBYSCORE', KEYS[1], ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
if failed(found) then return { '' } end
local moments = { '' }
for i = 1, #found, 2 do
  local member, score = found[i], tonumber(found[i + 1])
  if string.find(member, '^%d+$') and tonumber(member) == score then
    local length = length_of(ARGV[1] .. 'delayed:' .. member)
    if length > 0 then
      moments[#moments + 1] = member
      moments[#moments + 1] = length
    end
  end
end
if #found == 2 * tonumber(ARGV[3]) then
  -- Of those that share a second one is int, so the others are not missed; a page of such alone is passed over.
  local last, first = tonumber(found[#found]), tonumber(ARGV[2])
  moments[1] = last < 2 ^ 53 and int(math.max(math.floor(last), first) + 1) or ''
end
return moments
