-- Whether a moment is written as every program writes it; what is longer is no second that a scheduler could reach.
local function is_second(name)
  return #name <= 15 and (name == '0' or string.find(name, '^[1-9]%d*$') ~= nil)
end

-- Puts a moment whose list exists into the schedule if it is missing there; returns whether it was.
local function adopt_moment(name, schedule, wake)
  if not is_second(name) then return false end
  local score = redis.pcall('ZSCORE', schedule, name)
  if failed(score) or tonumber(score or '') == tonumber(name) then return false end
  local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')
  if failed(redis.pcall('ZADD', schedule, name, name)) then return false end
  if not first[2] or tonumber(name) < tonumber(first[2]) then signal(wake) end
  return true
end

-- Whether a text is really delayed to a moment that its index names. If the list lacks the text, the index forgets the
-- moment; if the schedule lacks the moment, it gets it, so that what is in the way of others is promoted.
local function is_delayed_to(member, index, text, prefix)
  local bucket = prefix .. member
  local position = redis.pcall('LPOS', bucket, text)
  if type(position) ~= 'number' then
    if not failed(position) then redis.pcall('SREM', index, member) end
    return false
  end
  local name = string.match(member, '^delayed:(.*)$')
  if name then adopt_moment(name, prefix .. 'delayed_queue_schedule', prefix .. 'taskhero:wake-schedule') end
  return true
end
