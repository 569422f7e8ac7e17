-- Read the keys and arguments of a call, in the order in which `ScriptCall` adds them.
-- Locals are faster than globals, and each job reads these.
local KEYS, ARGV = KEYS, ARGV
local next_key, next_arg = 1, 1

local function read_key()
  next_key = next_key + 1
  return KEYS[next_key - 1]
end

local function read_text()
  next_arg = next_arg + 1
  return ARGV[next_arg - 1]
end

local function read_number()
  next_arg = next_arg + 1
  return tonumber(ARGV[next_arg - 1])
end

local function read_flag()
  next_arg = next_arg + 1
  return ARGV[next_arg - 1] == '1'
end

-- Return a text, or nil if it was left out.
local function read_optional()
  local value = read_text()
  return value ~= '' and value or nil
end

-- Return several texts.
local function read_texts()
  local values, count = {}, read_number()
  for i = 1, count do values[i] = ARGV[next_arg + i - 1] end
  next_arg = next_arg + count
  return values
end

-- Return several keys. Their number is an argument.
local function read_keys()
  local values, count = {}, read_number()
  for i = 1, count do values[i] = KEYS[next_key + i - 1] end
  next_key = next_key + count
  return values
end

-- Raise an error unless the script has read the whole call. Otherwise Python and Lua disagree about its layout.
local function expect_end()
  if next_arg == #ARGV + 1 and next_key == #KEYS + 1 then return end
  local read = (next_key - 1) .. ' of ' .. #KEYS .. ' keys, ' .. (next_arg - 1) .. ' of ' .. #ARGV .. ' arguments'
  error('the script read ' .. read .. '; report this as a bug of taskhero')
end
