-- What endings delayed in a spelling that no guard knows: for each meaning a set of '<second> <text>'.

-- Whether such a member is still delayed.
local function is_delayed(member, prefix)
  local at, raw = string.match(member, '^(%d+) (.*)$')
  return at and type(redis.pcall('LPOS', prefix .. 'delayed:' .. at, raw)) == 'number'
end

-- Whether a text of this meaning is delayed, but for one that is on its way; forgets those that are not any more.
local function any_spelled(spelled, prefix, moving)
  local members = redis.pcall('SMEMBERS', spelled)
  for _, member in ipairs(failed(members) and {} or members) do
    if member ~= moving then
      if is_delayed(member, prefix) then return true end
      redis.call('SREM', spelled, member)
    end
  end
  return false
end

-- Notes a text that was delayed, and forgets some that are not any more, so that the set does not only grow.
-- It lapses a week after the last of them is due; nobody deletes it when they are promoted.
local function note_spelling(spelled, at, raw, prefix, now)
  local some = redis.pcall('SRANDMEMBER', spelled, 3)
  for _, member in ipairs(failed(some) and {} or some) do
    if not is_delayed(member, prefix) then redis.call('SREM', spelled, member) end
  end
  redis.pcall('SADD', spelled, int(at) .. ' ' .. raw)
  local life = at - math.floor(now / 1000) + 604800
  if life > (tonumber(redis.pcall('TTL', spelled)) or 0) then redis.pcall('EXPIRE', spelled, int(life)) end
end
