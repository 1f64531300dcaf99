#!lua
-- Registers an account, unless it is or was there, or the attempt has been ended: the step that decides a registration.
-- USES: clock
-- KEYS: 1 the account, 2 the mark of the attempt's end, 3 marks of deleted accounts, 4 days of use, 5 days that passed
-- ARGV: 1 now or 0, 2 when the attempt began, 3 how long one may last, ms, 4 account, 5 its mark, 6 the attempt, 7... fields, values
-- RETURNS: registered, exists, deleted or ended
local now = clock(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('HGET', KEYS[1], 'r') == ARGV[6] and 'registered' or 'exists'
end
if redis.call('SISMEMBER', KEYS[3], ARGV[5]) == 1 then return 'deleted' end
if redis.call('EXISTS', KEYS[2]) == 1 or now - tonumber(ARGV[2]) > tonumber(ARGV[3]) then return 'ended' end
redis.call('HSET', KEYS[1], 'r', ARGV[6], unpack(ARGV, 7))
local away = tonumber(redis.call('HGET', KEYS[5], 'away') or 0)
redis.call('ZADD', KEYS[4], math.floor(now / 86400000) - away, ARGV[4])
return 'registered'
