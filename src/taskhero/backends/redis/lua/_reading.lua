-- The text under a key, false if there is none, or a table with the type of what is no text.
local function string_at(key)
  local value = redis.pcall('GET', key)
  if failed(value) then return { redis.call('TYPE', key).ok } end
  return value
end

-- The length of a list; -1 if it is none.
local function length_of(key)
  local length = redis.pcall('LLEN', key)
  return failed(length) and -1 or length
end

-- The members of a set, sorted; none if it is no set.
local function members_of(key)
  local members = redis.pcall('SMEMBERS', key)
  if failed(members) then return {} end
  table.sort(members)
  return members
end
