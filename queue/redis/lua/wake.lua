#!lua flags=allow-oom
-- Adds a wake to a node's list. The list goes when nobody has added to it for as long as ten leases.
-- KEYS: the node's wakes
-- ARGV: life of the list in ms, most wakes in it, addresses of 18 bytes each
-- RETURNS: nothing
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'w', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return false
