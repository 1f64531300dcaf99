#!lua
-- Replaces a device list by its next version, and deletes the prekeys of the devices that it lacks.
-- USES: clock, counters
-- KEYS: 1 the account, 2 counters, 3... what is kept of the removed devices
-- ARGV: 1 the version before, 2 the version, 3 the list, 4 now, 5 number of removed devices, then their fields, then fields, values
-- RETURNS: 1, 0 where another list came first, -1 where there is no such account
local known = redis.call('HMGET', KEYS[1], 'v', 'l')
if not known[1] then return -1 end
if known[1] == ARGV[2] and known[2] == ARGV[3] then return 1 end
if known[1] ~= ARGV[1] then return 0 end
local removed = tonumber(ARGV[5])
for i = 6, 5 + removed do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'l', ARGV[3], unpack(ARGV, 6 + removed))
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
added.removed = removed > 0
count_up(KEYS[2], clock(ARGV[4]))
return 1
