-- Return a page of delayed jobs.
--
-- KEYS[1] schedule (sorted set of due times)
-- ARGV[1] prefix of the namespace (the schedule names the lists), ARGV[2] first second, ARGV[3] first position in its
-- list
-- ARGV[4] maximum number of payloads to search, ARGV[5] maximum size of the page in bytes
-- ARGV[6+] strings of which a payload must contain one; none for all payloads
-- Returns where to continue (second and position, or two empty strings), then second and payload in turn.
--!include common
local prefix, first, position = ARGV[1], ARGV[2], tonumber(ARGV[3])
local searches_left, bytes_left = tonumber(ARGV[4]), tonumber(ARGV[5])
local page = { '', '' }

local function matches(payload)
  for i = 6, #ARGV do
    if string.find(payload, ARGV[i], 1, true) then return true end
  end
  return #ARGV < 6
end

-- Search the list of a second from `position` on. Return where the search stopped, or nil at the list's end.
local function search_list(member)
  local bucket = prefix .. 'delayed:' .. member
  while searches_left > 0 and bytes_left > 0 do
    local step = math.min(searches_left, 100)
    local payloads = redis.pcall('LRANGE', bucket, position, position + step - 1)
    if failed(payloads) then return nil end
    for _, payload in ipairs(payloads) do
      if matches(payload) then
        page[#page + 1] = member
        page[#page + 1] = payload
        bytes_left = bytes_left - #payload
      end
    end
    searches_left, position = searches_left - #payloads, position + #payloads
    if #payloads < step then return nil end
  end
  return position
end

local offset, due_times = 0, 0
while true do
  local found = redis.pcall('ZRANGEBYSCORE', KEYS[1], first, '+inf', 'WITHSCORES', 'LIMIT', offset, 100)
  if failed(found) then return page end
  for i = 1, #found, 2 do
    local member, score = found[i], tonumber(found[i + 1])
    if string.find(member, '^%d+$') and tonumber(member) == score then
      -- Due times whose lists are gone cost time too.
      due_times = due_times + 1
      if searches_left <= 0 or bytes_left <= 0 or due_times > 2000 then
        page[1], page[2] = member, int(member == first and position or 0)
        return page
      end
      if member ~= first then position = 0 end
      local stopped = search_list(member)
      if stopped then
        page[1], page[2] = member, int(stopped)
        return page
      end
    end
  end
  if #found < 200 then return page end
  offset = offset + 100
end
