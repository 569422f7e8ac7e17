-- Shows a page of what is delayed.
--
-- KEYS[1] sorted set of moments
-- ARGV[1] prefix of the namespace (lists of moments are named in the set), ARGV[2] first second, ARGV[3] first position there
-- ARGV[4] how many texts to look at, ARGV[5] how many bytes to show at most
-- ARGV[6+] strings of which a text must hold one; none for all
-- Returns where to go on (second and position, or two empty texts), then second and text in turn.
--!include common
local prefix, first, position = ARGV[1], ARGV[2], tonumber(ARGV[3])
local limit, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local page = { '', '' }

local function wanted(raw)
  for i = 6, #ARGV do
    if string.find(raw, ARGV[i], 1, true) then return true end
  end
  return #ARGV < 6
end

-- Looks at the list of a second from `position` on; returns where it stopped, or nil at the list's end.
local function look(member)
  local bucket = prefix .. 'delayed:' .. member
  while limit > 0 and room > 0 do
    local step = math.min(limit, 100)
    local raws = redis.pcall('LRANGE', bucket, position, position + step - 1)
    if failed(raws) then return nil end
    for _, raw in ipairs(raws) do
      if wanted(raw) then
        page[#page + 1] = member
        page[#page + 1] = raw
        room = room - #raw
      end
    end
    limit, position = limit - #raws, position + #raws
    if #raws < step then return nil end
  end
  return position
end

local offset, moments = 0, 0
while true do
  local found = redis.pcall('ZRANGEBYSCORE', KEYS[1], first, '+inf', 'WITHSCORES', 'LIMIT', offset, 100)
  if failed(found) then return page end
  for i = 1, #found, 2 do
    local member, score = found[i], tonumber(found[i + 1])
    if string.find(member, '^%d+$') and tonumber(member) == score then
      -- Moments whose lists are gone cost time too.
      moments = moments + 1
      if limit <= 0 or room <= 0 or moments > 2000 then
        page[1], page[2] = member, int(member == first and position or 0)
        return page
      end
      if member ~= first then position = 0 end
      local stopped = look(member)
      if stopped then
        page[1], page[2] = member, int(stopped)
        return page
      end
    end
  end
  if #found < 200 then return page end
  offset = offset + 100
end
