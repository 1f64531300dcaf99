#!lua flags=allow-oom
-- Ends a lease for good; of a node that is unknown it does nothing.
-- USES: clock
-- KEYS: leases
-- ARGV: now, node
-- RETURNS: 1 if it was held
local now = clock(ARGV[1])
local raw = redis.call('HGET', KEYS[1], ARGV[2])
if not raw or struct.unpack('>I8', raw) <= now then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], struct.pack('>I8', now))
return 1
