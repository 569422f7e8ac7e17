-- Return a page of delayed jobs.
--
-- Reads key schedule; prefix, text first second, numbers first position in its list, maximum number of payloads to
-- search, maximum size of the page in bytes; texts of which a payload must contain one, none for all payloads.
-- Returns where to continue (second and position, or two empty strings), then second and payload in turn.
--!include arguments
--!include common
local schedule, prefix, first, position = read_key(), read_text(), read_text(), read_number()
local searches_left, bytes_left, wanted = read_number(), read_number(), read_texts()
expect_end()
local page = { '', '' }

local function matches(payload)
  for _, text in ipairs(wanted) do
    if string.find(payload, text, 1, true) then return true end
  end
  return #wanted == 0
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
  local found = redis.pcall('ZRANGEBYSCORE', schedule, first, '+inf', 'WITHSCORES', 'LIMIT', offset, 100)
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
