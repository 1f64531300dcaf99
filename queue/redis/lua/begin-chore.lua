#!lua
-- Begins a chore by the job that counts for it, unless another job of it has not ended.
-- KEYS: 1 the jobs that count, by chore, 2 the jobs that run
-- ARGV: 1 the chore, 2 the job
-- RETURNS: begun, stale, or the job that runs
local running = redis.call('HGET', KEYS[2], ARGV[1])
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  if running == ARGV[2] then redis.call('HDEL', KEYS[2], ARGV[1]) end
  return 'stale'
end
if running and running ~= ARGV[2] then return running end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 'begun'
