#!lua flags=allow-oom
-- Forgets what counts for an account that has left.
-- USES: clock, counters
-- KEYS: 1 what counts for the account, 2 reservations in doubt, 3 counters
-- ARGV: 1 now or 0, 2 account
-- RETURNS: 1, or 0 where nothing counted
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do redis.call('ZREM', KEYS[2], ARGV[2] .. all[i] .. string.sub(all[i + 1], 8)) end
added.removed = true
count_up(KEYS[3], clock(ARGV[1]))
return redis.call('DEL', KEYS[1])
