-- Marks under a worker that its job is now run alone.
--
-- KEYS[1] worker key; ARGV[1] token of the claim
-- Returns 1, or 0 if the claim is gone.
local head = '{"token":"' .. ARGV[1] .. '",'
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' or string.sub(value, 1, #head) ~= head then return 0 end
local rest = string.sub(value, #head + 1)
if string.sub(rest, 1, 15) ~= '"running":true,' then
  redis.call('SET', KEYS[1], head .. '"running":true,' .. rest)
end
return 1
