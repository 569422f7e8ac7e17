-- Renew the lease of a process and the locks of its jobs. If slots are given, also write the heartbeats that other
-- programs read.
--
-- Reads keys processes, workers, heartbeats (Ruby), workers of taskhero, renewals, lengths of leases; now, text
-- process, number lease in ms, text queues joined by commas in JSON, optional number of the last renewal that the
-- process has read, number of locks; for each keys worker key of its claim, lock, texts token of the claim, worker
-- name, number timeout in ms; number of slots; for each keys ping (node), start time, texts worker name, id; texts ids
-- of workers to check whether the sets of workers still contain them.
-- Returns whether the process was alive, the number of this renewal, the leases of others, the positions of lost locks,
-- the ids that the workers of taskhero did not contain (if slots are given), then the ids that are or were missing.
--!include arguments
--!include common
--!include leases
--!include owners
--!include job_locks
local processes, workers, beats, own_workers = read_key(), read_key(), read_key(), read_key()
local renewals, lengths = read_key(), read_key()
local now, process, length, queues, seen = read_now(), read_text(), read_number(), read_text(), read_optional()
allow_oom(processes)

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

-- Return the time in the form of Ruby's heartbeats, and in that of its start times.
local function format_time(seconds)
  local year, month, day, hour, minute, second = calendar(seconds)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d+00:00', year, month, day, hour, minute, second),
    string.format('%04d-%02d-%02d %02d:%02d:%02d +0000', year, month, day, hour, minute, second)
end

local alive = is_alive(processes, process) and 1 or 0
local number = renew(processes, renewals, lengths, process, now, length)
local leases = leases_until(renewals, lengths, seen or int(number - 1))
local lost = {}
for i = 1, read_number() do
  local worker, lock, token, name, timeout = read_key(), read_key(), read_text(), read_text(), read_number()
  local current, owner = lock_owner(lock, now, processes), name .. '/' .. token
  if current and current ~= owner then
    lost[#lost + 1] = i
  elseif current or claim_is_current(worker, token) then
    hold_lock(lock, owner, now, timeout)
  end
end
-- Other programs remove a worker only from the set of all workers.
local unregistered = {}
local result = { alive, int(number), leases, lost, unregistered }

-- Write the heartbeats of up to 1000 slots, since a call accepts a few thousand arguments. Skip a
-- set of workers of a wrong type.
local function write_heartbeats(count, seconds, beat, started)
  local heartbeats, pings, ids, starts = {}, {}, {}, {}
  for i = 1, count do
    local ping, name, id = read_key(), read_text(), read_text()
    ids[i], starts[i] = id, read_key()
    heartbeats[2 * i - 1], heartbeats[2 * i], pings[2 * i - 1] = id, beat, ping
    pings[2 * i] = '{"time":' .. seconds .. ',"name":"' .. name .. '","queues":' .. queues .. '}'
  end
  -- Ruby prunes a worker that has no heartbeat, so write the heartbeat before the registration.
  redis.pcall('HSET', beats, unpack(heartbeats))
  -- Other programs write to the set of all workers. If that is lost, the set of taskhero says what to rescue.
  local registered = redis.pcall('SMISMEMBER', own_workers, unpack(ids))
  for i, id in ipairs(failed(registered) and {} or ids) do
    if registered[i] == 0 then unregistered[#unregistered + 1] = id end
  end
  redis.pcall('SADD', own_workers, unpack(ids))
  redis.call('MSET', unpack(pings))
  local known = redis.pcall('SMISMEMBER', workers, unpack(ids))
  for i, id in ipairs(failed(known) and {} or ids) do
    if known[i] == 0 then
      redis.call('SADD', workers, id)
      redis.call('SET', starts[i], started, 'NX')
      result[#result + 1] = id
    end
  end
end

local slots = read_number()
if slots > 0 then
  local seconds = math.floor(now / 1000)
  local beat, started = format_time(seconds)
  for first = 1, slots, 1000 do write_heartbeats(math.min(1000, slots - first + 1), int(seconds), beat, started) end
end
local checked = read_texts()
expect_end()
for _, key in ipairs(#checked > 0 and { workers, own_workers } or {}) do
  local known = redis.pcall('SMISMEMBER', key, unpack(checked))
  for i, id in ipairs(failed(known) and {} or checked) do
    if known[i] == 0 then result[6] = id end
  end
end
return result
