-- Return the string under a key, false if the key does not exist, or a table with the type of another kind of value.
local function string_at(key)
  local value = redis.pcall('GET', key)
  if failed(value) then return { redis.call('TYPE', key).ok } end
  return value
end

-- Return the length of a list, or -1 if the key is not a list.
local function length_of(key)
  local length = redis.pcall('LLEN', key)
  return failed(length) and -1 or length
end

-- Return the members of a set, sorted; an empty table if the key is not a set.
local function members_of(key)
  local members = redis.pcall('SMEMBERS', key)
  if failed(members) then return {} end
  table.sort(members)
  return members
end
