-- Return a worker's name: its id up to the second colon.
local function name_of(id)
  return string.match(id, '^[^:]*:[^:]*') or id
end

-- Return the process of a worker of taskhero, or nil for another program's worker.
local function process_of(id)
  local process, rest = string.match(id, '^([^:]+%.th' .. string.rep('[0-9a-f]', 10) .. ':%d+)%+%d+(.*)$')
  if process and (rest == '' or string.sub(rest, 1, 1) == ':') then return process end
end

-- Return when the lease of a process ends, in ms, or nil if it has none. The score is negative if the process is dead.
local function lease_of(processes, process)
  local lease = redis.pcall('ZSCORE', processes, process)
  return type(lease) == 'string' and math.abs(tonumber(lease)) or nil
end

-- Return a short text of all state of another program's worker. It changes with each heartbeat.
local function heartbeat_fingerprint(prefix, id, heartbeats)
  local parts = {}
  for _, key in ipairs({ 'worker:' .. id, 'worker:' .. id .. ':started', 'worker:ping:' .. name_of(id) }) do
    local value = redis.pcall('GET', prefix .. key)
    parts[#parts + 1] = type(value) == 'string' and value or ''
  end
  local beat = redis.pcall('HGET', heartbeats, id)
  parts[#parts + 1] = type(beat) == 'string' and beat or ''
  local state = table.concat(parts, '\0')
  -- Not every emulation of Redis has sha1hex.
  return redis.sha1hex and redis.sha1hex(state) or state
end

-- Return since when, in ms, a worker has had this fingerprint, or nil if it had another one, and whether it was seen to
-- change. A record is '<ms> <fingerprint>', or '<ms>+ <fingerprint>' after a change.
local function heartbeat_since(fingerprints, id, fingerprint)
  local note = redis.pcall('HGET', fingerprints, id)
  if type(note) ~= 'string' then return nil, false end
  local since, changed, seen = string.match(note, '^(%d+)(%+?) (.*)$')
  if seen ~= fingerprint then return nil, true end
  return tonumber(since), changed == '+'
end
