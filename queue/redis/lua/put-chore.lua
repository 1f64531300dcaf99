#!lua
-- Makes a job the one that counts for its chore.
-- KEYS: the jobs that count, by chore
-- ARGV: 1 the chore, 2 the job
-- RETURNS: the job that counted before, or nothing
local before = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return before
