-- The second of a run that comes so many milliseconds after one that ended now.
local function next_due_time(now, frequency)
  return math.max(math.floor((now + frequency + 500) / 1000), math.floor(now / 1000) + 1)
end

-- So many of a queue's first jobs are looked through for rescued ones, which stand there with a mark behind.
local SCANNED_JOBS = 100

-- A job's text without the mark of its rescues.
local function unmarked(text)
  local bare, marks = string.gsub(text, ',"taskhero:rescues":%d+}$', '}')
  if marks == 0 then bare = string.gsub(text, ',"taskhero:rescues":%d+,"taskhero:late":%d+}$', '}') end
  return bare
end

-- Whether a text, with or without the mark of a rescue, is one of those that mean the job: ARGV[first...].
local function same(text, forms, first)
  if type(text) ~= 'string' then return false end
  text = unmarked(text)
  for i = 0, forms - 1 do
    if ARGV[first + i] == text then return true end
  end
  return false
end

-- Removes all queued copies, and those of the first ones that were rescued; returns how many there were.
local function remove_queued(list, forms, first)
  local removed, texts = 0, redis.pcall('LRANGE', list, 0, SCANNED_JOBS - 1)
  local function remove(text)
    local copies = redis.pcall('LREM', list, 0, text)
    if type(copies) == 'number' then removed = removed + copies end
  end
  for i = first, first + forms - 1 do remove(ARGV[i]) end
  for _, text in ipairs(failed(texts) and {} or texts) do
    if same(text, forms, first) then remove(text) end
  end
  return removed
end

-- Removes all delayed copies of some texts, KEYS[key...] being the sets of their moments; returns how many there were.
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

-- Keeps what is known of periodic tasks for a year from now on.
local function keep(key) redis.call('EXPIRE', key, 31622400) end
