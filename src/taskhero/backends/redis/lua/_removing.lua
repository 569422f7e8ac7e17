-- Removal of a job that other programs, or a rescue, may have stored in several forms and places.

-- The number of first jobs of a queue that are searched for rescued ones, whose payloads carry a rescue mark.
local SCANNED_JOBS = 100

-- Return a job's payload without its rescue mark.
local function strip_rescue_mark(payload)
  local bare, marks = string.gsub(payload, ',"taskhero:rescues":%d+}$', '}')
  if marks == 0 then bare = string.gsub(payload, ',"taskhero:rescues":%d+,"taskhero:late":%d+}$', '}') end
  return bare
end

-- Return whether a payload, with or without a rescue mark, is one of the equivalent ones ARGV[first...].
local function is_one_of(payload, payload_count, first)
  if type(payload) ~= 'string' then return false end
  payload = strip_rescue_mark(payload)
  for i = 0, payload_count - 1 do
    if ARGV[first + i] == payload then return true end
  end
  return false
end

-- Remove all queued copies, and the rescued ones among the first jobs. Return the number removed.
local function remove_queued(list, payload_count, first)
  local removed, payloads = 0, redis.pcall('LRANGE', list, 0, SCANNED_JOBS - 1)
  local function remove(payload)
    local copies = redis.pcall('LREM', list, 0, payload)
    if type(copies) == 'number' then removed = removed + copies end
  end
  for i = first, first + payload_count - 1 do remove(ARGV[i]) end
  for _, payload in ipairs(failed(payloads) and {} or payloads) do
    if is_one_of(payload, payload_count, first) then remove(payload) end
  end
  return removed
end

-- Remove all delayed copies of some payloads; KEYS[key...] are the sets of their due times. Return the number removed.
local function remove_delayed(count, arg, key, schedule, prefix)
  if redis.call('EXISTS', unpack(KEYS, key, key + count - 1)) == 0 then return 0 end
  local removed = 0
  for i = 0, count - 1 do
    local members = redis.pcall('SMEMBERS', KEYS[key + i])
    for _, member in ipairs(failed(members) and {} or members) do
      local copies = redis.pcall('LREM', prefix .. member, 0, ARGV[arg + i])
      if type(copies) == 'number' then removed = removed + copies end
      if redis.call('EXISTS', prefix .. member) == 0 then redis.call('ZREM', schedule, string.sub(member, 9)) end
    end
    if not failed(members) then redis.call('DEL', KEYS[key + i]) end
  end
  return removed
end
