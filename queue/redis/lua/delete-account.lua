#!lua flags=allow-oom
-- Deletes an account and all that is kept of its devices, and marks its id so that it is never registered again.
-- USES: clock, counters
-- KEYS: 1 the account, 2 marks of deleted accounts, 3 days of use, 4 counters, 5... what is kept of its devices
-- ARGV: 1 the list version for which those are all, 2 the account, 3 its mark, 4 now
-- RETURNS: 1, or 0 where there is another list now; 1 also where it is gone already
local version = redis.call('HGET', KEYS[1], 'v')
if version and version ~= ARGV[1] then return 0 end
if version then redis.call('SADD', KEYS[2], ARGV[3]) end
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[1], unpack(KEYS, 5))
added.removed = true
count_up(KEYS[4], clock(ARGV[4]))
return 1
