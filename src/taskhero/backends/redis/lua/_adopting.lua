-- Return whether a due time has the form that every program writes and reads. A longer number is too far away.
local function is_whole_second(name)
  return #name <= 15 and (name == '0' or string.find(name, '^[1-9]%d*$') ~= nil)
end

-- Add a due time whose list exists to the schedule if it is missing there. Return whether it was missing.
local function adopt_due_time(name, schedule, wake)
  if not is_whole_second(name) then return false end
  local score = redis.pcall('ZSCORE', schedule, name)
  if failed(score) or tonumber(score or '') == tonumber(name) then return false end
  local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  if failed(redis.pcall('ZADD', schedule, name, name)) then return false end
  if not first[2] or tonumber(name) < tonumber(first[2]) then signal(wake) end
  return true
end

-- Return whether a payload is delayed to the due time that its index names. If the list lacks the payload, remove the
-- due time from the index. If the schedule lacks the due time, add it, so that the payload is promoted.
local function is_delayed_to(member, index, payload, prefix)
  local bucket = prefix .. member
  local position = redis.pcall('LPOS', bucket, payload)
  if type(position) ~= 'number' then
    if not failed(position) then redis.pcall('SREM', index, member) end
    return false
  end
  local name = string.match(member, '^delayed:(.*)$')
  if name then adopt_due_time(name, prefix .. 'delayed_queue_schedule', prefix .. 'taskhero:wake-schedule') end
  return true
end
