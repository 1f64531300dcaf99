#!lua flags=allow-oom
-- Writes what is read in place of accounts that are not there.
-- KEYS: the nobodies of shards
-- ARGV: fields and values of each
-- RETURNS: how many were missing
local missing = 0
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    redis.call('HSET', KEYS[i], ARGV[1], unpack(ARGV, 2))
    missing = missing + 1
  end
end
return missing
