#!lua
-- Reserves a name for an attempt to register an account, unless somebody has it. It is in doubt until it is settled.
-- USES: clock
-- KEYS: 1 the name, 2 names in doubt
-- ARGV: 1 now or 0, 2 the name, 3 the holder: account and attempt
-- RETURNS: now, or the holder that has it
local now = clock(ARGV[1])
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[3] then return holder end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[3] .. ARGV[2])
return now
