#!lua flags=allow-oom
-- Records what a store is when it is first opened, and says what it is.
-- KEYS: what the store says of itself
-- ARGV: format, number of shards
-- RETURNS: format and number of shards on record
redis.call('HSETNX', KEYS[1], 'format', ARGV[1])
redis.call('HSETNX', KEYS[1], 'shards', ARGV[2])
return redis.call('HMGET', KEYS[1], 'format', 'shards')
