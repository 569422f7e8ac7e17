-- Sets of the payloads that settlements delayed in a spelling that no guard knows, one set for each meaning. A member
-- is '<second> <payload>'.

-- Return whether the payload of a member is still delayed.
local function is_spelling_delayed(member, prefix)
  local at, payload = string.match(member, '^(%d+) (.*)$')
  return at and type(redis.pcall('LPOS', prefix .. 'delayed:' .. at, payload)) == 'number'
end

-- Return whether a payload of this meaning is delayed, except the one that is being promoted. Remove members that are
-- no longer delayed.
local function any_spelling_delayed(spellings, prefix, moving)
  local members = redis.pcall('SMEMBERS', spellings)
  for _, member in ipairs(failed(members) and {} or members) do
    if member ~= moving then
      if is_spelling_delayed(member, prefix) then return true end
      redis.call('SREM', spellings, member)
    end
  end
  return false
end

-- Add a payload that was delayed. Remove up to three members that are no longer delayed, so that the set stays small.
-- The set expires a week after its last due time, since promotion does not remove members.
local function record_spelling(spellings, at, payload, prefix, now)
  local sample = redis.pcall('SRANDMEMBER', spellings, 3)
  for _, member in ipairs(failed(sample) and {} or sample) do
    if not is_spelling_delayed(member, prefix) then redis.call('SREM', spellings, member) end
  end
  redis.pcall('SADD', spellings, int(at) .. ' ' .. payload)
  local life = at - math.floor(now / 1000) + 604800
  if life > (tonumber(redis.pcall('TTL', spellings)) or 0) then redis.pcall('EXPIRE', spellings, int(life)) end
end
