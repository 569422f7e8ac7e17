-- A worker's name: its id up to the second colon.
local function name_of(id)
  return string.match(id, '^[^:]*:[^:]*') or id
end

-- The process of a worker of taskhero's, or nil if it is another program's.
local function process_of(id)
  local process, rest = string.match(id, '^([^:]+%.th' .. string.rep('[0-9a-f]', 10) .. ':%d+)%+%d+(.*)$')
  if process and (rest == '' or string.sub(rest, 1, 1) == ':') then return process end
end

-- When the lease of a process ends, in ms, or nil if it has none. It is negative where the process was declared dead.
local function lease_of(processes, process)
  local lease = redis.pcall('ZSCORE', processes, process)
  return type(lease) == 'string' and math.abs(tonumber(lease)) or nil
end

-- All that claim_is_current of another program's worker, as one short text: it changes with each sign of life.
local function heartbeat_fingerprint(prefix, id, heartbeats)
  local parts = {}
  for _, key in ipairs({ 'worker:' .. id, 'worker:' .. id .. ':started', 'worker:ping:' .. name_of(id) }) do
    local value = redis.pcall('GET', prefix .. key)
    parts[#parts + 1] = type(value) == 'string' and value or ''
  end
  local beat = redis.pcall('HGET', heartbeats, id)
  parts[#parts + 1] = type(beat) == 'string' and beat or ''
  local sign = table.concat(parts, '\0')
  -- Only a pretended Redis does not have it.
  return redis.sha1hex and redis.sha1hex(sign) or sign
end

-- Since when, in ms, a worker has shown this sign; nil if it was not heartbeat_since.
local function heartbeat_since(signs, id, sign)
  local note = redis.pcall('HGET', signs, id)
  if type(note) ~= 'string' then return nil end
  local since, seen = string.match(note, '^(%d+) (.*)$')
  return seen == sign and tonumber(since) or nil
end
