#!lua flags=no-writes
-- Lists the invites that have not expired, the earliest to expire first.
-- USES: clock
-- KEYS: 1 by expiry, 2 uses that are left
-- ARGV: now or 0, in ARGV[1]
-- RETURNS: marks and expiries; marks and uses
local now = clock(ARGV[1])
return {
  redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf', 'WITHSCORES'),
  redis.call('HGETALL', KEYS[2])
}
