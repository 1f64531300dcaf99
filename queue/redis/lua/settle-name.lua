#!lua flags=allow-oom
-- Takes a holder's name out of doubt: it keeps it, or the name is free.
-- USES: clock, counters
-- KEYS: 1 the name, 2 names in doubt, 3 counters
-- ARGV: 1 the name, 2 the holder, 3 keep or free, 4 now
-- RETURNS: 1 where the name was freed, else 0
redis.call('ZREM', KEYS[2], ARGV[2] .. ARGV[1])
if ARGV[3] ~= 'free' or redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
added.removed = true
count_up(KEYS[3], clock(ARGV[4]))
return redis.call('DEL', KEYS[1])
