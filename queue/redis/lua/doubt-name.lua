#!lua flags=allow-oom
-- Puts an account's name in doubt: whoever is to delete both may end in between.
-- USES: clock
-- KEYS: 1 the name, 2 names in doubt
-- ARGV: 1 now or 0, 2 the name, 3 the account
-- RETURNS: the holder, or nothing where the name is not this account's
local now = clock(ARGV[1])
local holder = redis.call('GET', KEYS[1])
if not holder or holder:sub(1, 16) ~= ARGV[3] then return false end
redis.call('ZADD', KEYS[2], now, holder .. ARGV[2])
return holder
