-- A lock without a lifetime that stays the same for so many ms counts as dead, if somebody looked at it each minute.
local DEAD_AFTER, GAP = 600000, 60000

-- What was heartbeat_since of the lock of another program's scheduler: since when it has this value, since when it has this value and
-- no lifetime ('0' if it has one), when it was looked at last, whether it counts as dead, all in ms; then the value.
local function noted_of(prefix)
  local note = redis.pcall('GET', prefix .. 'taskhero:master-lock')
  if type(note) ~= 'string' then return {} end
  local since, still, last, dead, value = string.match(note, '^(%d+) (%d+) (%d+) ([01]) (.*)$')
  if not since then return {} end
  return { since = tonumber(since), still = tonumber(still), last = tonumber(last), dead = dead == '1', value = value }
end

-- The lock's value (or its type in words), and its lifetime in ms, -1 if it has none; nil if nobody holds it.
local function foreign_holder(lock)
  local value = redis.pcall('GET', lock)
  if not value then return nil end
  if failed(value) then value = 'not text but a ' .. redis.call('TYPE', lock).ok end
  return value, redis.call('PTTL', lock)
end

-- Whether another program's scheduler leads, as far as `look_at_foreign` heartbeat_since.
local function foreign_leads(lock, prefix)
  local value, lifetime = foreign_holder(lock)
  if not value then return false end
  local note = noted_of(prefix)
  return not (note.dead and note.value == value and lifetime == -1)
end

-- Notes what the lock looks like now; returns whether its lock_owner leads, and {lock_owner, lifetime, since, dead} or {}.
local function look_at_foreign(lock, prefix, now, may_die)
  local key = prefix .. 'taskhero:master-lock'
  local value, lifetime = foreign_holder(lock)
  if not value then
    redis.call('DEL', key)
    return 0, {}
  end
  local note = noted_of(prefix)
  local same = note.value == value
  local since = same and math.min(note.since, now) or now
  local watched = same and note.still > 0 and now >= note.last and now - note.last <= GAP
  local still = lifetime ~= -1 and 0 or watched and note.still or now
  local dead = may_die and still > 0 and now - still >= DEAD_AFTER
  -- It is looked at twice a second; a note now and then will do.
  if not same or still ~= note.still or dead ~= note.dead or now - note.last > GAP / 6 then
    local text = { int(since), int(still), int(now), dead and '1' or '0', value }
    redis.call('SET', key, table.concat(text, ' '), 'PX', 3600000)
  end
  return dead and 0 or 1, { value, lifetime, int(since), dead and 1 or 0 }
end
