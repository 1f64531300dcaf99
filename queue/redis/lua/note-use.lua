#!lua
-- Notes that an account is in use today.
-- USES: clock
-- KEYS: 1 days of use, 2 days that passed
-- ARGV: 1 now or 0, 2 the account
-- RETURNS: 1 where it was last used on an earlier day, else 0
local now = clock(ARGV[1])
local away = tonumber(redis.call('HGET', KEYS[2], 'away') or 0)
return redis.call('ZADD', KEYS[1], 'XX', 'GT', 'CH', math.floor(now / 86400000) - away, ARGV[2])
