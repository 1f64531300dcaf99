#!lua flags=allow-oom
-- Deletes an invite.
-- KEYS: 1 by expiry, 2 uses that are left
-- ARGV: its mark, in ARGV[1]
-- RETURNS: 1, or 0 where there is none
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
