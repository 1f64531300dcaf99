#!lua flags=no-writes
-- Names the prekeys that are held for a device.
-- KEYS: 1 the account, 2 bytes of the device's prekeys, 3 their order
-- ARGV: the device's field, in ARGV[1]
-- RETURNS: signed and last resort, the held one-time keys' kinds and ids; nothing where there is no such device
local SPAN = 1099511627776
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return false end
local held = redis.call('ZRANGEBYSCORE', KEYS[3], 0, string.format('(%.0f', 2 * SPAN))
local known = redis.call('HMGET', KEYS[2], 's', 'l')
return { known[1] or '', known[2] or '', held }
