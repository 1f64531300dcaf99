#!lua
-- Replaces a device list by its next version, and deletes the prekeys of the devices that it lacks.
-- KEYS: 1 the account, 2... what is kept of the removed devices
-- ARGV: 1 the version before, 2 the version, 3 the list, 4 number of removed devices, then their fields, then fields, values
-- RETURNS: 1, 0 where another list came first, -1 where there is no such account
local known = redis.call('HMGET', KEYS[1], 'v', 'l')
if not known[1] then return -1 end
if known[1] == ARGV[2] and known[2] == ARGV[3] then return 1 end
if known[1] ~= ARGV[1] then return 0 end
local removed = tonumber(ARGV[4])
for i = 5, 4 + removed do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'l', ARGV[3], unpack(ARGV, 5 + removed))
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
return 1
