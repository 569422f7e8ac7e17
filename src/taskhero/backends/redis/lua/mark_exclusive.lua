-- Mark under a worker key that its job now runs exclusively, or that it did and other jobs run beside it from now on.
--
-- Reads key worker key; text token of the claim, flag whether the job runs exclusively.
-- Returns 1, or 0 if the claim is gone.
--!include arguments
--!include common
local worker, token, exclusive = read_key(), read_text(), read_flag()
expect_end()
local head, running, late = '{"token":"' .. token .. '",', '"running":true,', '"late":true,'
local value = redis.pcall('GET', worker)
if type(value) ~= 'string' or string.sub(value, 1, #head) ~= head then return 0 end
local rest = string.sub(value, #head + 1)
local is_running, is_late = string.sub(rest, 1, #running) == running, string.sub(rest, 1, #late) == late
allow_oom(worker)
if exclusive and not is_running then
  redis.call('SET', worker, head .. running .. (is_late and string.sub(rest, #late + 1) or rest))
elseif not exclusive and is_running then
  redis.call('SET', worker, head .. late .. string.sub(rest, #running + 1))
end
return 1
