-- Push a wake-up for each queue that holds jobs.
--
-- KEYS: for each queue its list and its wake list
--!include common
if #KEYS > 0 then allow_oom(KEYS[1]) end
for i = 1, #KEYS, 2 do
  local length = redis.pcall('LLEN', KEYS[i])
  if type(length) == 'number' and length > 0 then signal(KEYS[i + 1]) end
end
return 1
