-- A lock without a lifetime whose value does not change for DEAD_AFTER ms counts as dead, if it was observed at least
-- every GAP ms.
local DEAD_AFTER, GAP = 600000, 60000

-- Return the last observation of the lock of another program's scheduler, or {}. `since`: ms since when it has this
-- `value`. `idle_since`: ms since when it also has no lifetime, 0 if it has one. `last`: ms of the observation.
local function read_note(prefix)
  local note = redis.pcall('GET', prefix .. 'taskhero:master-lock')
  if type(note) ~= 'string' then return {} end
  local since, idle_since, last, dead, value = string.match(note, '^(%d+) (%d+) (%d+) ([01]) (.*)$')
  if not since then return {} end
  since, idle_since, last = tonumber(since), tonumber(idle_since), tonumber(last)
  return { since = since, idle_since = idle_since, last = last, dead = dead == '1', value = value }
end

-- Return the lock's value (or a phrase with its type) and its lifetime in ms (-1: none), or nil if the lock is free.
local function read_foreign_lock(lock)
  local value = redis.pcall('GET', lock)
  if not value then return nil end
  if failed(value) then value = 'not text but a ' .. redis.call('TYPE', lock).ok end
  return value, redis.call('PTTL', lock)
end

-- Return whether another program's scheduler leads, by the last observation.
local function foreign_leads(lock, prefix)
  local value, lifetime = read_foreign_lock(lock)
  if not value then return false end
  local note = read_note(prefix)
  return not (note.dead and note.value == value and lifetime == -1)
end

-- Record what the lock looks like now. Return 1 if its holder leads (else 0), and {value, lifetime, since, dead} or {}.
local function observe_foreign_leader(lock, prefix, now, may_die)
  local key = prefix .. 'taskhero:master-lock'
  local value, lifetime = read_foreign_lock(lock)
  if not value then
    redis.call('DEL', key)
    return 0, {}
  end
  local note = read_note(prefix)
  local same = note.value == value
  local since = same and math.min(note.since, now) or now
  local watched = same and note.idle_since > 0 and now >= note.last and now - note.last <= GAP
  local idle_since = lifetime ~= -1 and 0 or watched and note.idle_since or now
  local dead = may_die and idle_since > 0 and now - idle_since >= DEAD_AFTER
  -- It is observed twice a second, so an unchanged lock is recorded less often.
  if not same or idle_since ~= note.idle_since or dead ~= note.dead or now - note.last > GAP / 6 then
    local parts = { int(since), int(idle_since), int(now), dead and '1' or '0', value }
    redis.call('SET', key, table.concat(parts, ' '), 'PX', 3600000)
  end
  return dead and 0 or 1, { value, lifetime, int(since), dead and 1 or 0 }
end
