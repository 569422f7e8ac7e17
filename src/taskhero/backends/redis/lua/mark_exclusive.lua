-- Mark under a worker key that its job now runs exclusively, or that it did and other jobs run beside it from now on.
--
-- KEYS[1] worker key; ARGV[1] token of the claim, ARGV[2] '1' if the job runs exclusively
-- Returns 1, or 0 if the claim is gone.
--!include common
local head, running, late = '{"token":"' .. ARGV[1] .. '",', '"running":true,', '"late":true,'
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' or string.sub(value, 1, #head) ~= head then return 0 end
local rest = string.sub(value, #head + 1)
local is_running, is_late = string.sub(rest, 1, #running) == running, string.sub(rest, 1, #late) == late
allow_oom(KEYS[1])
if ARGV[2] == '1' and not is_running then
  redis.call('SET', KEYS[1], head .. running .. (is_late and string.sub(rest, #late + 1) or rest))
elseif ARGV[2] ~= '1' and is_running then
  redis.call('SET', KEYS[1], head .. late .. string.sub(rest, #running + 1))
end
return 1
