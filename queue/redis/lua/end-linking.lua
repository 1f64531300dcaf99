#!lua
-- Ends a linking mailbox: its messages are gone, and its name is used up until its time is over.
-- USES: clock
-- KEYS: 1 the mailbox, 2 all of them, which is not changed
-- ARGV: 1 now or 0
-- RETURNS: 1, or 0 where there is none
local ends = redis.call('HGET', KEYS[1], 'until')
if not ends or tonumber(ends) <= clock(ARGV[1]) then return 0 end
redis.call('HDEL', KEYS[1], 'offer', 'join', 'grant')
redis.call('HSET', KEYS[1], 'ended', 1)
return 1
