-- Marks under a worker that its job is now run alone, or is not any more.
--
-- KEYS[1] worker key; ARGV[1] token of the claim, ARGV[2] '1' if it runs alone
-- Returns 1, or 0 if the claim is gone.
--!include common
local head, mark = '{"token":"' .. ARGV[1] .. '",', '"running":true,'
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' or string.sub(value, 1, #head) ~= head then return 0 end
local rest = string.sub(value, #head + 1)
local marked = string.sub(rest, 1, #mark) == mark
go_on_when_full(KEYS[1])
if ARGV[2] == '1' and not marked then
  redis.call('SET', KEYS[1], head .. mark .. rest)
elseif ARGV[2] ~= '1' and marked then
  redis.call('SET', KEYS[1], head .. string.sub(rest, #mark + 1))
end
return 1
