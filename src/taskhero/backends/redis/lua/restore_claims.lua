-- Restore claims whose worker keys another program deleted.
--
-- Reads keys processes, workers of taskhero; text process, number of claims; for each key worker key, texts worker id,
-- the start of the value up to the end of its token, the whole value.
-- Returns for each claim 1 (its worker key holds it) or 0.
--!include arguments
--!include common
--!include leases
local processes, own_workers, process = read_key(), read_key(), read_text()
allow_oom(processes)
local alive = is_alive(processes, process)
local results = {}
for i = 1, read_number() do
  local worker, id, head, value = read_key(), read_text(), read_text(), read_text()
  local held, result = redis.pcall('GET', worker), 0
  if type(held) == 'string' then
    result = string.sub(held, 1, #head) == head and 1 or 0
  elseif not held and alive and redis.pcall('SISMEMBER', own_workers, id) == 1 then
    redis.call('SET', worker, value)
    result = 1
  end
  results[i] = result
end
expect_end()
return results
