-- Adopts delayed jobs whose moments are missing in the schedule, as a program leaves them that died between two commands.
--
-- KEYS[1] sorted set of moments, KEYS[2] wake list of schedulers
-- ARGV[1] prefix of the namespace, ARGV[2+] moments, as the names of lists end
-- Returns how many jobs were adopted.
--!include common
--!include adopting
allow_oom(KEYS[1])
local prefix, adopted = ARGV[1], 0
-- So many texts of one list get their index again, or go to another list, in one step.
local MOST = 1000

local function index(raws, name)
  for _, raw in ipairs(raws) do redis.pcall('SADD', prefix .. 'timestamps:' .. raw, 'delayed:' .. name) end
end

-- Moves jobs from a list that no scheduler can reach to that of the next int second.
local function move(name)
  local moment = tonumber(name)
  if not moment or moment ~= moment or moment < 0 or moment >= 1e15 then return 0 end
  if redis.call('ZSCORE', KEYS[1], name) then return 0 end
  local bucket, second = prefix .. 'delayed:' .. name, int(math.ceil(moment))
  local raws = redis.call('LRANGE', bucket, 0, MOST - 1)
  for _, raw in ipairs(raws) do
    if failed(redis.pcall('RPUSH', prefix .. 'delayed:' .. second, raw)) then return 0 end
    redis.pcall('SREM', prefix .. 'timestamps:' .. raw, 'delayed:' .. name)
  end
  index(raws, second)
  adopt_moment(second, KEYS[1], KEYS[2])
  redis.call('LTRIM', bucket, #raws, -1)
  return #raws
end

for i = 2, #ARGV do
  local name = ARGV[i]
  local length = redis.pcall('LLEN', prefix .. 'delayed:' .. name)
  if type(length) == 'number' and length > 0 then
    if not is_second(name) then
      adopted = adopted + move(name)
    elseif adopt_moment(name, KEYS[1], KEYS[2]) then
      index(redis.call('LRANGE', prefix .. 'delayed:' .. name, 0, MOST - 1), name)
      adopted = adopted + length
    end
  end
end
return adopted
