#!lua
-- Ends a registration's attempt unless it has registered its account: from now on it never will.
-- KEYS: 1 the account, 2 the mark of the attempt's end, 3 marks of deleted accounts
-- ARGV: 1 the name, 2 the attempt, 3 the account's mark, 4 how long the end stays marked, ms
-- RETURNS: whether (1 or 0) the account is there with this name, whether this attempt registered it, whether it was deleted
local known = redis.call('HMGET', KEYS[1], 'n', 'r')
local deleted = redis.call('SISMEMBER', KEYS[3], ARGV[3])
if known[2] ~= ARGV[2] and deleted == 0 then redis.call('SET', KEYS[2], '', 'PX', ARGV[4]) end
return { known[1] == ARGV[1] and 1 or 0, known[2] == ARGV[2] and 1 or 0, deleted }
