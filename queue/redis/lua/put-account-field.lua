#!lua
-- Writes or deletes one field of an account.
-- KEYS: the account
-- ARGV: 1 the field, 2 its value, empty to delete it
-- RETURNS: 1, or 0 where there is no such account
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
