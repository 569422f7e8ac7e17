-- Restore claims whose worker keys another program deleted.
--
-- KEYS[1] processes, KEYS[2] workers of taskhero; then for each claim: its worker key
-- ARGV[1] process; then for each claim: worker id, the start of the value up to the end of its token, the whole value
-- Returns for each claim 1 (its worker key holds it) or 0.
--!include common
--!include leases
allow_oom(KEYS[1])
local alive = is_alive(KEYS[1], ARGV[1])
local results = {}
for i = 3, #KEYS do
  local arg = 3 * i - 7
  local id, head, value = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
  local held, result = redis.pcall('GET', KEYS[i]), 0
  if type(held) == 'string' then
    result = string.sub(held, 1, #head) == head and 1 or 0
  elseif not held and alive and redis.pcall('SISMEMBER', KEYS[2], id) == 1 then
    redis.call('SET', KEYS[i], value)
    result = 1
  end
  results[#results + 1] = result
end
return results
