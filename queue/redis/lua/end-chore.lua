#!lua flags=allow-oom
-- Ends a run of a chore; one that is done is forgotten unless it was scheduled again.
-- KEYS: 1 the jobs that count, by chore, 2 the jobs that run
-- ARGV: 1 the chore, 2 the job, 3 1 where it is done
-- RETURNS: 1 where it was forgotten, else 0
if redis.call('HGET', KEYS[2], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[2], ARGV[1]) end
if ARGV[3] ~= '1' or redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
