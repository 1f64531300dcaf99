#!lua flags=allow-oom
-- Settles a reservation: it counts until its blob is forgotten, or its room is free.
-- KEYS: 1 what counts for the account, 2 reservations in doubt
-- ARGV: 1 blob, 2 account, 3 reservation, 4 keep or free
-- RETURNS: 1, or 0 where the reservation is not there
redis.call('ZREM', KEYS[2], ARGV[2] .. ARGV[1] .. ARGV[3])
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known or string.sub(known, 8) ~= ARGV[3] then return 0 end
local bytes = struct.unpack('>I6', known)
if ARGV[4] == 'keep' then
  redis.call('HSET', KEYS[1], ARGV[1], struct.pack('>I6B', bytes, 1) .. ARGV[3])
elseif redis.call('HLEN', KEYS[1]) == 2 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HINCRBY', KEYS[1], 'b', -bytes)
end
return 1
