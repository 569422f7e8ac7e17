-- Removal of a job that other programs, or a rescue, may have stored in several forms and places.

-- The number of first jobs of a queue that are searched for rescued ones, whose payloads carry a rescue mark.
local SCANNED_JOBS = 100

-- Return a job's payload without its rescue mark.
local function strip_rescue_mark(payload)
  local bare, marks = string.gsub(payload, ',"taskhero:rescues":%d+}$', '}')
  if marks == 0 then bare = string.gsub(payload, ',"taskhero:rescues":%d+,"taskhero:late":%d+}$', '}') end
  return bare
end

-- Return whether a payload, with or without a rescue mark, is one of the given ones.
local function is_one_of(payload, payloads)
  if type(payload) ~= 'string' then return false end
  payload = strip_rescue_mark(payload)
  for _, other in ipairs(payloads) do
    if other == payload then return true end
  end
  return false
end

-- Remove all queued copies, and the rescued ones among the first jobs. Return the number removed.
local function remove_queued(list, payloads)
  local removed, first_jobs = 0, redis.pcall('LRANGE', list, 0, SCANNED_JOBS - 1)
  local function remove(payload)
    local copies = redis.pcall('LREM', list, 0, payload)
    if type(copies) == 'number' then removed = removed + copies end
  end
  for _, payload in ipairs(payloads) do remove(payload) end
  for _, payload in ipairs(failed(first_jobs) and {} or first_jobs) do
    if is_one_of(payload, payloads) then remove(payload) end
  end
  return removed
end

-- Remove all delayed copies of some payloads; `indexes` are the sets of their due times. Return the number removed.
local function remove_delayed(payloads, indexes, schedule, prefix)
  if redis.call('EXISTS', unpack(indexes)) == 0 then return 0 end
  local removed = 0
  for i, index in ipairs(indexes) do
    local members = redis.pcall('SMEMBERS', index)
    for _, member in ipairs(failed(members) and {} or members) do
      local copies = redis.pcall('LREM', prefix .. member, 0, payloads[i])
      if type(copies) == 'number' then removed = removed + copies end
      if redis.call('EXISTS', prefix .. member) == 0 then redis.call('ZREM', schedule, string.sub(member, 9)) end
    end
    if not failed(members) then redis.call('DEL', index) end
  end
  return removed
end
