-- Renew the lease of a process and the locks of its jobs. If slots are given, also write the heartbeats that other
-- programs read.
--
-- KEYS[1] processes, KEYS[2] workers, KEYS[3] heartbeats (Ruby), KEYS[4] workers of taskhero
-- KEYS[5] renewals, KEYS[6] lengths of leases
-- KEYS[7+] for each lock: the worker key of its claim, the lock; then for each slot: ping (node), start time
-- ARGV[1] now in ms or '', ARGV[2] process, ARGV[3] lease in ms, ARGV[4] queues joined by commas, in JSON
-- ARGV[5] number of the last renewal that the process has read, or ''
-- ARGV[6] number of locks; then for each: token of its claim, worker name, timeout in ms
-- ARGV[7+] for each slot its worker name and its id; or one string of ids, separated by newlines, to check whether the
--          sets of workers still contain them
-- Returns whether the process was alive, the number of this renewal, the leases of others, the positions of lost locks,
-- the ids that the workers of taskhero did not contain (if slots are given), then the ids that are or were missing.
--!include common
--!include leases
--!include owners
--!include job_locks
allow_oom(KEYS[1])

-- Return year, month, day, hour, minute, second in UTC.
local function calendar(seconds)
  local days, rest = math.floor(seconds / 86400), seconds % 86400
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  return year, month, day, math.floor(rest / 3600), math.floor(rest % 3600 / 60), rest % 60
end

local now = now_ms(ARGV[1])
local process = ARGV[2]
local alive = is_alive(KEYS[1], process) and 1 or 0
local number = renew(KEYS[1], KEYS[5], KEYS[6], process, now, tonumber(ARGV[3]))
local leases = leases_until(KEYS[5], KEYS[6], ARGV[5] ~= '' and ARGV[5] or int(number - 1))
local lost, locks = {}, tonumber(ARGV[6])
local first_arg, first_key = 7 + 3 * locks, 7 + 2 * locks
for i = 1, locks do
  local worker, lock = KEYS[5 + 2 * i], KEYS[6 + 2 * i]
  local token, owner = ARGV[4 + 3 * i], ARGV[5 + 3 * i] .. '/' .. ARGV[4 + 3 * i]
  local current = lock_owner(lock, now, KEYS[1])
  if current and current ~= owner then
    lost[#lost + 1] = i
  elseif current or claim_is_current(worker, token) then
    hold_lock(lock, owner, now, tonumber(ARGV[6 + 3 * i]))
  end
end
-- Other programs remove a worker only from the set of all workers.
local unregistered = {}
local result = { alive, int(number), leases, lost, unregistered }
if #ARGV == first_arg then
  local ids = {}
  for id in string.gmatch(ARGV[first_arg], '[^\n]+') do ids[#ids + 1] = id end
  for _, key in ipairs({ KEYS[2], KEYS[4] }) do
    local known = redis.pcall('SMISMEMBER', key, unpack(ids))
    for i, id in ipairs(failed(known) and {} or ids) do
      if known[i] == 0 then result[6] = id end
    end
  end
elseif #ARGV > first_arg then
  local seconds = int(math.floor(now / 1000))
  local year, month, day, hour, minute, second = calendar(math.floor(now / 1000))
  local beat = string.format('%04d-%02d-%02dT%02d:%02d:%02d+00:00', year, month, day, hour, minute, second)
  local started = string.format('%04d-%02d-%02d %02d:%02d:%02d +0000', year, month, day, hour, minute, second)
  -- A call accepts a few thousand arguments.
  for first = first_arg, #ARGV, 2000 do
    local heartbeats, pings, ids = {}, {}, {}
    local key = first_key + first - first_arg
    for arg = first, math.min(first + 1999, #ARGV), 2 do
      local name, id = ARGV[arg], ARGV[arg + 1]
      ids[#ids + 1] = id
      heartbeats[#heartbeats + 1] = id
      heartbeats[#heartbeats + 1] = beat
      pings[#pings + 1] = KEYS[key + 2 * #ids - 2]
      pings[#pings + 1] = '{"time":' .. seconds .. ',"name":"' .. name .. '","queues":' .. ARGV[4] .. '}'
    end
    -- Ruby prunes a worker that has no heartbeat, so write the heartbeat before the registration.
    redis.pcall('HSET', KEYS[3], unpack(heartbeats))
    -- Other programs write to the set of all workers. If that is lost, the set of taskhero says what to rescue.
    local registered = redis.pcall('SMISMEMBER', KEYS[4], unpack(ids))
    for i, id in ipairs(failed(registered) and {} or ids) do
      if registered[i] == 0 then unregistered[#unregistered + 1] = id end
    end
    redis.pcall('SADD', KEYS[4], unpack(ids))
    redis.call('MSET', unpack(pings))
    local known = redis.pcall('SMISMEMBER', KEYS[2], unpack(ids))
    if failed(known) then return result end
    for i, id in ipairs(ids) do
      if known[i] == 0 then
        redis.call('SADD', KEYS[2], id)
        redis.call('SET', KEYS[key + 2 * i - 1], started, 'NX')
        result[#result + 1] = id
      end
    end
  end
end
return result
