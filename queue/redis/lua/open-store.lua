#!lua flags=allow-oom
-- Records what a store is when it is first opened, and says what it is. One of an earlier format becomes one of this.
-- KEYS: what the store says of itself
-- ARGV: format, number of shards, the format whose stores can be read as one of this
-- RETURNS: format and number of shards on record
redis.call('HSETNX', KEYS[1], 'format', ARGV[1])
redis.call('HSETNX', KEYS[1], 'shards', ARGV[2])
if redis.call('HGET', KEYS[1], 'format') == ARGV[3] then redis.call('HSET', KEYS[1], 'format', ARGV[1]) end
return redis.call('HMGET', KEYS[1], 'format', 'shards')
