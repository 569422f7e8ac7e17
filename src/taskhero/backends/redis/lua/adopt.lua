-- Adopt delayed jobs whose due times are missing in the schedule. A program leaves them if it dies between two
-- commands.
--
-- Reads keys schedule, wake list of schedulers; prefix, texts due times as in the names of their lists.
-- Returns the number of jobs adopted.
--!include arguments
--!include common
--!include adopting
local schedule, wake, prefix, names = read_key(), read_key(), read_text(), read_texts()
expect_end()
allow_oom(schedule)
local adopted = 0
-- The number of payloads of one list that are indexed or moved in one step.
local MAX_MOVED = 1000

local function add_to_index(payloads, name)
  for _, payload in ipairs(payloads) do redis.pcall('SADD', prefix .. 'timestamps:' .. payload, 'delayed:' .. name) end
end

-- Move jobs from a list that no scheduler can reach to that of the next whole second.
local function move(name)
  local due_time = tonumber(name)
  if not due_time or due_time ~= due_time or due_time < 0 or due_time >= 1e15 then return 0 end
  if redis.call('ZSCORE', schedule, name) then return 0 end
  local bucket, second = prefix .. 'delayed:' .. name, int(math.ceil(due_time))
  local payloads = redis.call('LRANGE', bucket, 0, MAX_MOVED - 1)
  for _, payload in ipairs(payloads) do
    if failed(redis.pcall('RPUSH', prefix .. 'delayed:' .. second, payload)) then return 0 end
    redis.pcall('SREM', prefix .. 'timestamps:' .. payload, 'delayed:' .. name)
  end
  add_to_index(payloads, second)
  adopt_due_time(second, schedule, wake)
  redis.call('LTRIM', bucket, #payloads, -1)
  return #payloads
end

for _, name in ipairs(names) do
  local length = redis.pcall('LLEN', prefix .. 'delayed:' .. name)
  if type(length) == 'number' and length > 0 then
    if not is_whole_second(name) then
      adopted = adopted + move(name)
    elseif adopt_due_time(name, schedule, wake) then
      add_to_index(redis.call('LRANGE', prefix .. 'delayed:' .. name, 0, MAX_MOVED - 1), name)
      adopted = adopted + length
    end
  end
end
return adopted
