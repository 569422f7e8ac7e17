-- Marks under a worker that its job is now run alone, or was, and has others beside it from now on.
--
-- KEYS[1] worker key; ARGV[1] token of the claim, ARGV[2] '1' if it runs alone
-- Returns 1, or 0 if the claim is gone.
--!include common
local head, alone, late = '{"token":"' .. ARGV[1] .. '",', '"running":true,', '"late":true,'
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' or string.sub(value, 1, #head) ~= head then return 0 end
local rest = string.sub(value, #head + 1)
local is_alone, is_late = string.sub(rest, 1, #alone) == alone, string.sub(rest, 1, #late) == late
allow_oom(KEYS[1])
if ARGV[2] == '1' and not is_alone then
  redis.call('SET', KEYS[1], head .. alone .. (is_late and string.sub(rest, #late + 1) or rest))
elseif ARGV[2] ~= '1' and is_alone then
  redis.call('SET', KEYS[1], head .. late .. string.sub(rest, #alone + 1))
end
return 1
