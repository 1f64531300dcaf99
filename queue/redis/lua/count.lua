#!lua flags=no-writes
-- Counts accounts.
-- KEYS: for each shard, its days of use
-- ARGV: none
-- RETURNS: how many there are
local count = 0
for i = 1, #KEYS do count = count + redis.call('ZCARD', KEYS[i]) end
return count
